// LoadedNames: the SONAMEs of everything loaded in this process.
//
// A needed library of such a name is satisfied, whoever loaded it: that is how the dynamic linker sees it, and two
// libgomp are two OpenMP runtimes. Asking dlopen with RTLD_NOLOAD gives the same answer, but searches the file system
// for a name that is not loaded.

#pragma once

#include <string>
#include <string_view>
#include <unordered_set>

namespace intact {

// Guarded by its user's lock.
class LoadedNames {
 public:
  bool contains(std::string_view soname);

 private:
  void refresh();

  std::unordered_set<std::string> names_;
  unsigned long long added_ = 0;    // dlpi_adds when names_ was taken
  unsigned long long removed_ = 0;  // dlpi_subs
  unsigned long long seen_ = 0;     // objects in names_, in the linker's order
};

}  // namespace intact
