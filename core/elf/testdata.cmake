# Small shared objects for the tests of core/elf, laid out below ELF_TESTDATA as in a package. Tests load them from an
# archive of that directory and, as the control, with dlopen from the directory.

set(ELF_TESTDATA ${CMAKE_BINARY_DIR}/elf_testdata)

# intact_test_object(name IN directory [FILE name] [FROM source] [PLAIN] [NEEDS name...] [RPATH path | RUNPATH path]
#                    [DEFINE macro...] [COMPILE option...])          PLAIN: without a SONAME
function(intact_test_object name)
  cmake_parse_arguments(OBJECT "PLAIN" "IN;FROM;FILE;RPATH;RUNPATH" "NEEDS;DEFINE;COMPILE" ${ARGN})
  if(NOT OBJECT_FROM)
    set(OBJECT_FROM recorder.cc)
  endif()
  if(NOT OBJECT_FILE)
    set(OBJECT_FILE ${name})
  endif()
  set(target test_object_${name})
  add_library(${target} SHARED core/elf/testdata/${OBJECT_FROM})
  set_target_properties(${target} PROPERTIES PREFIX "" OUTPUT_NAME ${OBJECT_FILE} BUILD_WITH_INSTALL_RPATH ON
                        INSTALL_RPATH "${OBJECT_RPATH}${OBJECT_RUNPATH}"
                        LIBRARY_OUTPUT_DIRECTORY ${ELF_TESTDATA}/${OBJECT_IN} NO_SONAME ${OBJECT_PLAIN})
  target_compile_definitions(${target} PRIVATE INTACT_NAME=${OBJECT_FILE} ${OBJECT_DEFINE})
  # They are loaded, and some of their code run, before a sanitizer would expect it.
  target_compile_options(${target} PRIVATE -fno-sanitize=all ${OBJECT_COMPILE})
  target_link_options(${target} PRIVATE -fno-sanitize=all -Wl,--no-as-needed)
  if(OBJECT_RPATH)
    target_link_options(${target} PRIVATE -Wl,--disable-new-dtags)
  else()
    target_link_options(${target} PRIVATE -Wl,--enable-new-dtags)
  endif()
  foreach(needed ${OBJECT_NEEDS})
    target_link_libraries(${target} PRIVATE test_object_${needed})
  endforeach()
  set_property(GLOBAL APPEND PROPERTY ELF_TEST_OBJECTS ${target})
endfunction()

# Order: a needs b and c, b needs c.
intact_test_object(order_c IN pkg)
intact_test_object(order_d IN pkg)
intact_test_object(order_b IN pkg NEEDS order_c RPATH $ORIGIN)
intact_test_object(order_a IN pkg NEEDS order_d order_b order_c RPATH $ORIGIN)

# A library beside the package; the decoy of the same name comes first in the archive.
intact_test_object(leaf_decoy IN aaa FILE leaf DEFINE INTACT_VALUE=2)
intact_test_object(leaf IN pkg.libs)
intact_test_object(middle IN pkg.libs NEEDS leaf)
intact_test_object(by_runpath IN pkg NEEDS leaf RUNPATH $ORIGIN/../pkg.libs)
intact_test_object(by_inherited_rpath IN pkg NEEDS middle RPATH $ORIGIN/../pkg.libs)
intact_test_object(by_bare_name IN pkg NEEDS order_d)

# A cycle: a is linked against b, b against an earlier a.
intact_test_object(early_cycle_of_two_libraries_a IN .early FILE cycle_of_two_libraries_a)
intact_test_object(cycle_of_two_libraries_b IN pkg NEEDS early_cycle_of_two_libraries_a RPATH $ORIGIN)
intact_test_object(cycle_of_two_libraries_a IN pkg NEEDS cycle_of_two_libraries_b RPATH $ORIGIN)
intact_test_object(cycle_user IN pkg NEEDS cycle_of_two_libraries_a RPATH $ORIGIN)

# No SONAME: glibc would not know it again.
intact_test_object(plain IN pkg PLAIN)
intact_test_object(plain_user IN pkg RPATH $ORIGIN)
add_dependencies(test_object_plain_user test_object_plain)
target_link_libraries(test_object_plain_user PRIVATE -L${ELF_TESTDATA}/pkg -l:plain.so)

# A library that nobody has.
intact_test_object(intact_nowhere IN .early)
intact_test_object(missing IN pkg NEEDS intact_nowhere RPATH $ORIGIN)

intact_test_object(hooked IN pkg)
intact_test_object(thrower IN pkg FROM thrower.cc)
intact_test_object(catcher IN pkg FROM catcher.cc NEEDS thrower RPATH $ORIGIN)
intact_test_object(tls IN pkg FROM tls.cc)
intact_test_object(static_tls IN pkg FROM tls.cc COMPILE -ftls-model=initial-exec)
intact_test_object(ifunc IN pkg FROM ifunc.cc)

get_property(objects GLOBAL PROPERTY ELF_TEST_OBJECTS)
add_dependencies(elf_test ${objects})
target_compile_definitions(elf_test PRIVATE ELF_TESTDATA="${ELF_TESTDATA}")
target_link_libraries(elf_test bz2)  # archives are packed with it
