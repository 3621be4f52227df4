# What the redirect's tests load: an object that calls (see testdata/caller.cc), and libraries to be put into archives.
if(INTACT_BUILD_TESTS)
  add_library(redirect_caller MODULE core/redirect/testdata/caller.cc core/redirect/testdata/changes.cc)
  target_include_directories(redirect_caller PRIVATE ${CMAKE_SOURCE_DIR})
  set_target_properties(redirect_caller PROPERTIES CXX_VISIBILITY_PRESET default)
  # It hands null to functions that take none, to see what becomes of it.
  target_compile_options(redirect_caller PRIVATE -fno-sanitize=all)
  target_link_options(redirect_caller PRIVATE -fno-sanitize=all)
  add_library(redirect_library MODULE core/redirect/testdata/library.cc)
  set_target_properties(redirect_library PROPERTIES CXX_VISIBILITY_PRESET default)
  if(TARGET redirect_test)
    target_link_libraries(redirect_test bz2)  # which archive/zip_builder.h packs with
    add_dependencies(redirect_test redirect_caller redirect_library)
    target_compile_definitions(redirect_test PRIVATE
      REDIRECT_CALLER="$<TARGET_FILE:redirect_caller>" REDIRECT_LIBRARY="$<TARGET_FILE:redirect_library>")
  endif()
endif()
