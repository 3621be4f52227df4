// Writing our functions into the GOT slots of loaded objects, and libc's back.
//
// All of it runs inside dl_iterate_phdr, under glibc's own lock on the list of objects: patching is serial, no object
// can go away meanwhile, and there is no lock of ours that a fork could leave held.

#pragma once

#include <link.h>

#include <cstdint>

namespace intact {

// Patches every object that has appeared since the last call.
void patch_new_objects();

// Patches one object, which its caller knows to be relocated.
void patch_object(const link_map* object);

// Puts the C library's functions back into every slot that holds ours.
void restore_objects();

std::uint64_t patched_objects();
std::uint64_t patched_slots();

}  // namespace intact
