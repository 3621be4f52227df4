// The checked parser. One pass a table, in the order in which later ones need earlier ones: header, segments, dynamic
// section, names, relocations, symbols, versions, initialisers.

#include "core/elf/elf_file.h"

#include <algorithm>
#include <cstring>

#include "core/base/reader.h"
#include "core/elf/elf_tables.h"

namespace intact {

namespace {

constexpr std::uint64_t kHeaderSize = sizeof(Elf64_Ehdr);
constexpr std::uint64_t kMaxSegments = 1024;
constexpr std::uint64_t kMaxDynamicEntries = 65'536;
constexpr std::uint64_t kMaxName = 4096;  // bytes of a library's name or a search path; ld.so's are paths
constexpr std::uint64_t kAddressSpace = std::uint64_t{1} << 47;

class SpanSource final : public ElfSource {
 public:
  explicit SpanSource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  Result<std::span<const std::byte>> at(std::uint64_t offset, std::uint64_t size) override {
    return bytes_.subspan(offset, size);
  }

 private:
  std::span<const std::byte> bytes_;
};

class Parser {
 public:
  explicit Parser(ElfSource& source) : source_(source) { file_.size = source.size(); }

  Result<ElfFile> parse() {
    INTACT_TRY(read_header());
    INTACT_TRY(check_segments());
    INTACT_TRY(read_dynamic());
    INTACT_TRY(check_entry_sizes());
    INTACT_TRY(read_names());
    INTACT_TRY(check_initialisers());
    INTACT_TRY(check_elf_tables(source_, file_));
    return std::move(file_);
  }

 private:
  Result<std::span<const std::byte>> at(std::uint64_t offset, std::uint64_t size, const char* what) {
    if (offset > source_.size() || size > source_.size() - offset) {
      return elf_error(std::string(what) + " lies beyond the end of the file", offset);
    }
    return source_.at(offset, size);
  }

  Result<void> read_header() {
    INTACT_ASSIGN(auto bytes, at(0, std::min(kHeaderSize, source_.size()), "the ELF header"));
    Reader in(bytes);
    if (in.text(SELFMAG) != ELFMAG) return elf_error("not an ELF file", 0);
    const auto file_class = in.u8(), data = in.u8(), version = in.u8();
    if (bytes.size() < kHeaderSize) return elf_error("truncated within the ELF header", bytes.size());
    if (file_class != ELFCLASS64) return elf_error("a 32-bit object; 64-bit ones are loaded", EI_CLASS);
    if (data != ELFDATA2LSB) return elf_error("a big-endian object; little-endian ones are loaded", EI_DATA);
    if (version != EV_CURRENT) return elf_error("ELF version " + std::to_string(version), EI_VERSION);
    in.seek(EI_NIDENT);
    const auto type = in.u16(), machine = in.u16();
    if (type != ET_DYN) return elf_error("not a shared object: ELF type " + std::to_string(type), EI_NIDENT);
    file_.machine = find_machine(machine);
    if (!file_.machine) return elf_error("for an unknown machine: number " + std::to_string(machine), EI_NIDENT + 2);
    in.skip(4 + 8);
    const auto table = in.u64();
    in.skip(8 + 4 + 2);
    const auto entry_size = in.u16(), count = in.u16();
    if (entry_size != sizeof(Elf64_Phdr)) {
      return elf_error("program headers of " + std::to_string(entry_size) + " bytes",
                       offsetof(Elf64_Ehdr, e_phentsize));
    }
    if (count == 0 || count > kMaxSegments) {
      return elf_error(std::to_string(count) + " program headers", offsetof(Elf64_Ehdr, e_phnum));
    }
    return read_segments(table, count);
  }

  Result<void> read_segments(std::uint64_t table, std::uint64_t count) {
    table_ = table;
    INTACT_ASSIGN(auto bytes, at(table, count * sizeof(Elf64_Phdr), "the program header table"));
    Reader in(bytes);
    for (std::uint64_t i = 0; i < count; ++i) {
      ElfSegment segment;
      segment.type = in.u32();
      segment.flags = in.u32();
      segment.offset = in.u64();
      segment.address = in.u64();
      in.skip(8);
      segment.file_size = in.u64();
      segment.memory_size = in.u64();
      segment.alignment = in.u64();
      file_.segments.push_back(segment);
    }
    return {};
  }

  // What ld.so assumes of segments: in ascending order, inside the file, aligned; PT_TLS and PT_GNU_RELRO inside them.
  Result<void> check_segments() {
    std::uint64_t end = 0;  // of the segments so far, in memory
    bool loads = false;
    for (std::size_t i = 0; i < file_.segments.size(); ++i) {
      const ElfSegment& segment = file_.segments[i];
      const std::uint64_t where = table_ + i * sizeof(Elf64_Phdr);
      if (segment.address > kAddressSpace || segment.memory_size > kAddressSpace - segment.address) {
        return elf_error("a segment outside the address space", where);
      }
      if (segment.type == PT_LOAD || segment.type == PT_DYNAMIC || segment.type == PT_TLS || segment.type == PT_NOTE) {
        if (segment.offset > file_.size || segment.file_size > file_.size - segment.offset) {
          return elf_error("truncated: a segment ends beyond the end of the file", where);
        }
      }
      if (segment.type == PT_TLS || segment.type == PT_LOAD) {
        if (segment.file_size > segment.memory_size)
          return elf_error("a segment larger in the file than in memory", where);
        if ((segment.alignment & (segment.alignment - 1)) != 0 && segment.alignment != 0) {
          return elf_error("a segment's alignment is no power of two", where);
        }
      }
      if (segment.type != PT_LOAD) continue;
      if (segment.address < end) return elf_error("segments overlap or are out of order", where);
      if (segment.alignment != 0 &&
          (segment.address - segment.offset) % std::min<std::uint64_t>(segment.alignment, 4096) != 0) {
        return elf_error("a segment's address and offset disagree about alignment", where);
      }
      end = segment.address + segment.memory_size;
      loads = true;
    }
    if (!loads) return elf_error("no segment to load", table_);
    for (std::size_t i = 0; i < file_.segments.size(); ++i) {
      const ElfSegment& segment = file_.segments[i];
      if (segment.type == PT_TLS) {
        file_.tls = true;
        if (segment.file_size && !file_.offset_of(segment.address, segment.file_size)) {
          return elf_error("the thread-local image lies in no segment", table_ + i * sizeof(Elf64_Phdr));
        }
      }
      if (segment.type == PT_GNU_RELRO && !in_memory(segment.address, segment.memory_size)) {
        return elf_error("the read-only area lies in no segment", table_ + i * sizeof(Elf64_Phdr));
      }
    }
    return {};
  }

  bool in_memory(std::uint64_t address, std::uint64_t size) const {
    // RELRO ends at a page boundary, which may be beyond the end of its segment.
    constexpr std::uint64_t kPage = 65'536;
    return std::ranges::any_of(file_.segments, [&](const ElfSegment& s) {
      const std::uint64_t room = (s.memory_size + kPage - 1) / kPage * kPage + kPage;
      return s.type == PT_LOAD && address >= s.address && address - s.address <= room &&
             size <= room - (address - s.address);
    });
  }

  Result<void> read_dynamic() {
    const auto segment = std::ranges::find(file_.segments, std::uint32_t{PT_DYNAMIC}, &ElfSegment::type);
    if (segment == file_.segments.end()) return elf_error("no dynamic section", table_);
    const auto offset = file_.offset_of(segment->address, segment->file_size);
    if (!offset || *offset != segment->offset)
      return elf_error("the dynamic section lies in no segment", segment->offset);
    const std::uint64_t count = segment->file_size / sizeof(Elf64_Dyn);
    if (count > kMaxDynamicEntries) return elf_error(std::to_string(count) + " dynamic entries", *offset);
    INTACT_ASSIGN(auto bytes, at(*offset, count * sizeof(Elf64_Dyn), "the dynamic section"));
    Reader in(bytes);
    for (std::uint64_t i = 0; i < count; ++i) {
      ElfDynamicEntry entry;
      entry.offset = *offset + in.position();
      entry.tag = static_cast<std::int64_t>(in.u64());
      entry.value = in.u64();
      if (entry.tag == DT_NULL) return {};
      file_.dynamic.push_back(entry);
    }
    return elf_error("the dynamic section has no end", *offset);
  }

  // ld.so asserts these: a wrong one would abort the process.
  Result<void> check_entry_sizes() {
    for (const ElfDynamicEntry& entry : file_.dynamic) {
      const bool wrong = (entry.tag == DT_SYMENT && entry.value != sizeof(Elf64_Sym)) ||
                         (entry.tag == DT_RELAENT && entry.value != sizeof(Elf64_Rela)) ||
                         (entry.tag == DT_RELRENT && entry.value != sizeof(Elf64_Relr)) ||
                         (entry.tag == DT_PLTREL && entry.value != DT_RELA);
      if (wrong) return elf_error("a dynamic entry of an unknown form: tag " + std::to_string(entry.tag), entry.offset);
      if (entry.tag == DT_REL) return elf_error("relocations without addends", entry.offset);
    }
    return {};
  }

  Result<void> read_names() {
    INTACT_ASSIGN(file_.strings, elf_table(file_, DT_STRTAB, DT_STRSZ, "the string table"));
    if (file_.strings.size == 0)
      return elf_error("no string table", file_.dynamic.empty() ? 0 : file_.dynamic[0].offset);
    for (const ElfDynamicEntry& entry : file_.dynamic) {
      if (entry.tag == DT_FLAGS) file_.text_relocations |= (entry.value & DF_TEXTREL) != 0;
      if (entry.tag == DT_TEXTREL) file_.text_relocations = true;
      if (entry.tag != DT_NEEDED && entry.tag != DT_SONAME && entry.tag != DT_RPATH && entry.tag != DT_RUNPATH)
        continue;
      INTACT_ASSIGN(std::string name, elf_string(source_, file_, entry.value, kMaxName));
      if (entry.tag == DT_NEEDED) {
        if (name.empty()) return elf_error("an empty name of a needed library", entry.offset);
        file_.needed.push_back({std::move(name), entry.offset, file_.strings.offset + entry.value});
      } else if (entry.tag == DT_SONAME) {
        file_.soname = std::move(name);
      } else if (entry.tag == DT_RPATH) {
        file_.rpath = std::move(name);
      } else {
        file_.runpath = std::move(name);
      }
    }
    return {};
  }

  Result<void> check_initialisers() {
    for (const ElfDynamicEntry& entry : file_.dynamic) {
      if (entry.tag == DT_INIT) file_.init = entry.value;
      if (entry.tag == DT_INIT_ARRAY) file_.init_array = entry.value;
      if (entry.tag == DT_INIT_ARRAYSZ) file_.init_array_size = entry.value;
    }
    if (file_.init_array == 0) file_.init_array_size = 0;
    if (file_.init && !file_.offset_of(file_.init, 1)) return elf_error("DT_INIT points into no segment", 0);
    if (file_.init_array_size &&
        (file_.init_array_size % 8 != 0 || !file_.offset_of(file_.init_array, file_.init_array_size))) {
      return elf_error("the array of initialisers lies in no segment", 0);
    }
    return {};
  }

  ElfSource& source_;
  ElfFile file_;
  std::uint64_t table_ = 0;  // offset of the program headers
};

}  // namespace

std::optional<std::uint64_t> ElfFile::offset_of(std::uint64_t address, std::uint64_t size) const {
  for (const ElfSegment& segment : segments) {
    if (segment.type != PT_LOAD || address < segment.address) continue;
    const std::uint64_t inside = address - segment.address;
    if (inside < segment.file_size && size <= segment.file_size - inside) return segment.offset + inside;
  }
  return std::nullopt;
}

Result<ElfFile> parse_elf(ElfSource& source) { return Parser(source).parse(); }

Result<ElfFile> parse_elf(std::span<const std::byte> bytes) {
  SpanSource source(bytes);
  return parse_elf(source);
}

}  // namespace intact
