#include "master/master_main.h"
#include "transport/mpi/mpi_transport.h"
#include "transport/zmq/zmq_transport.h"

int main(int argc, char** argv) {
  return taskfarm::MasterMain(argc, argv,
                              {taskfarm::ZmqTransportFactory(), taskfarm::ZmqIpcTransportFactory(),
                               taskfarm::MpiTransportFactory()});
}
