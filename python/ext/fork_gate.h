// ForkGate: keeps fork(2) waiting while a thread opens an archive without the GIL.
//
// Opening may take locks of the C library (mktime's, the locales') that a child would find held for ever by a thread
// that it does not have. Threads that open do not keep each other waiting; who forks goes before those that come later.

#pragma once

#include <pthread.h>

namespace intact {

class ForkGate {
 public:
  ForkGate() { make(); }
  ForkGate(const ForkGate&) = delete;
  ForkGate& operator=(const ForkGate&) = delete;

  void hold() { pthread_rwlock_rdlock(&lock_); }
  void let_go() { pthread_rwlock_unlock(&lock_); }

  void before_fork() { pthread_rwlock_wrlock(&lock_); }
  void after_fork_in_parent() { pthread_rwlock_unlock(&lock_); }
  // The lock knows its writer by a number that the child's thread does not have.
  void after_fork_in_child() { make(); }

 private:
  void make() {
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&lock_, &attributes);
    pthread_rwlockattr_destroy(&attributes);
  }

  pthread_rwlock_t lock_;
};

}  // namespace intact
