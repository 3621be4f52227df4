// Graveyard: buffers whose last user has gone, waiting for their interpreter.
//
// The last reader of a mounted bytes object may be any thread, one of another interpreter or one that holds no GIL
// (a file function of some C library). Only the interpreter that gave the buffer may release it, so the reader
// lays it here and the interpreter empties the graveyard the next time it comes by.
//
// Threads: any, without a lock: a child may be forked while another thread lays a buffer here.

#pragma once

#include <atomic>
#include <memory>

#include "core/base/bytes.h"
#include "python/ext/pyref.h"

namespace intact {

class Graveyard {
 public:
  // Takes the buffer over; its bytes live until `empty` is called after the last copy has gone. After `close`, when
  // the interpreter is no more, buffers are left where they are.
  static Bytes adopt(const std::shared_ptr<Graveyard>& graveyard, Py_buffer buffer);

  // These two by the interpreter.
  void empty() { release(nullptr); }
  void close() { release(&closed_); }

 private:
  struct Grave {
    Py_buffer buffer;
    Grave* next;
  };

  void bury(Py_buffer buffer);
  void release(Grave* instead);

  std::atomic<Grave*> newest_{nullptr};  // &closed_ once closed
  Grave closed_ = {};
};

}  // namespace intact
