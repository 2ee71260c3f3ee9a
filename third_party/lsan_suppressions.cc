// What LeakSanitizer is to overlook: memory that the libraries below us keep at the end of a
// process. Read by the sanitizer's run-time when it starts; nothing of it is there in other builds.

#if defined(__SANITIZE_ADDRESS__)

extern "C" const char* __lsan_default_suppressions();

extern "C" const char* __lsan_default_suppressions() {
  return
      // MPICH, and the libraries under it, do not free all they allocate by the end of
      // MPI_Finalize.
      "leak:libmpich.so\n"
      "leak:libucp.so\n"
      "leak:libucs.so\n"
      "leak:libuct.so\n"
      "leak:libhwloc.so\n"
      // ZeroMQ now and then loses a few hundred bytes of a connection that ends while its context
      // is closed.
      "leak:libzmq.so\n";
}

#endif
