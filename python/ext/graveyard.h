// Graveyard: buffers whose last user has gone, waiting for their interpreter.
//
// The last reader of a mounted bytes object may be any thread, one of another interpreter or one that holds no GIL
// (a file function of some C library). Only the interpreter that gave the buffer may release it, so the reader
// lays it here and the interpreter empties the graveyard the next time it comes by.

#pragma once

#include <mutex>
#include <vector>

#include "core/base/bytes.h"
#include "python/ext/pyref.h"

namespace intact {

class Graveyard {
 public:
  // Takes the buffer over; its bytes live until `empty` is called after the last copy has gone. After `close`, when
  // the interpreter is no more, buffers are left where they are.
  static Bytes adopt(const std::shared_ptr<Graveyard>& graveyard, Py_buffer buffer);

  void empty();
  void close();

 private:
  void bury(Py_buffer buffer);

  std::mutex mutex_;  // guards both
  std::vector<Py_buffer> buffers_;
  bool closed_ = false;
};

}  // namespace intact
