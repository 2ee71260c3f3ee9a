#ifndef TASKFARM_TRANSPORT_MPI_LITTLE_ENDIAN_H_
#define TASKFARM_TRANSPORT_MPI_LITTLE_ENDIAN_H_

#include <cstddef>

namespace taskfarm::mpi {

// Returns the end of what was written.
template <typename Integer>
char* PutLittleEndian(Integer value, char* out) {
  for (size_t i = 0; i < sizeof(value); ++i) {
    out[i] = static_cast<char>(value >> (8 * i));
  }
  return out + sizeof(value);
}

template <typename Integer>
Integer GetLittleEndian(const char* in) {
  Integer value = 0;
  for (size_t i = 0; i < sizeof(value); ++i) {
    value |= static_cast<Integer>(static_cast<unsigned char>(in[i])) << (8 * i);
  }
  return value;
}

}  // namespace taskfarm::mpi

#endif  // TASKFARM_TRANSPORT_MPI_LITTLE_ENDIAN_H_
