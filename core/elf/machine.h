// Machine: what differs between the processors whose shared objects we load.
//
// Relocation types are numbers of each processor's ABI. They stand here in one table, for both processors on
// both, so that parsing and patching are the same code everywhere and tests of either run on any host.
//   x86-64   https://gitlab.com/x86-psABIs/x86-64-ABI            ("Relocation Types")
//   aarch64  https://github.com/ARM-software/abi-aa, aaelf64.rst  ("Dynamic relocations")

#pragma once

#include <elf.h>

#include <cstdint>

namespace intact {

struct Machine {
  std::uint16_t number;  // e_machine
  const char* name;
  std::uint32_t none;
  std::uint32_t absolute;   // S + A, 64 bits: a pointer in data
  std::uint32_t glob_dat;   // S: a GOT slot
  std::uint32_t jump_slot;  // S: a slot of the PLT
  std::uint32_t relative;   // B + A
  std::uint32_t irelative;  // what the function at B + A returns
};

inline constexpr Machine kMachines[] = {
    {EM_X86_64, "x86-64", R_X86_64_NONE, R_X86_64_64, R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT, R_X86_64_RELATIVE,
     R_X86_64_IRELATIVE},
    {EM_AARCH64, "aarch64", R_AARCH64_NONE, R_AARCH64_ABS64, R_AARCH64_GLOB_DAT, R_AARCH64_JUMP_SLOT,
     R_AARCH64_RELATIVE, R_AARCH64_IRELATIVE},
};

#if defined(__x86_64__)
inline constexpr const Machine& kHostMachine = kMachines[0];
#elif defined(__aarch64__)
inline constexpr const Machine& kHostMachine = kMachines[1];
#else
#error "intact loads shared objects on x86-64 and aarch64"
#endif

// The machine of that e_machine, or null for one we do not know.
constexpr const Machine* find_machine(std::uint16_t number) {
  for (const Machine& machine : kMachines) {
    if (machine.number == number) return &machine;
  }
  return nullptr;
}

// Whether a relocation of this type stores a symbol's address, so that the slot can be pointed elsewhere.
constexpr bool stores_symbol(const Machine& machine, std::uint32_t type) {
  return type == machine.jump_slot || type == machine.glob_dat || type == machine.absolute;
}

}  // namespace intact
