#include "transport/mpi/mpi_transport.h"
#include "transport/zmq/zmq_transport.h"
#include "worker/worker_main.h"

int main(int argc, char** argv) {
  return taskfarm::WorkerMain(argc, argv,
                              {taskfarm::ZmqTransportFactory(), taskfarm::ZmqIpcTransportFactory(),
                               taskfarm::MpiTransportFactory()});
}
