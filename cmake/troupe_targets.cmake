# Two precompiled headers, each compiled once: with actors and without. The dev preset goes without, so
# that a file which forgets an include is found.
function(_troupe_precompiled_header name header)
  file(GENERATE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp" CONTENT "")
  add_library(${name} STATIC "${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp")
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARGN})
  target_precompile_headers(${name} PRIVATE "${PROJECT_SOURCE_DIR}/${header}")
endfunction()
_troupe_precompiled_header(troupe_precompiled cmake/precompiled.hpp)
_troupe_precompiled_header(troupe_precompiled_actors cmake/precompiled_actors.hpp CAF::core)

# troupe_add_library(NAME [ACTORS] SOURCES… PUBLIC deps… PRIVATE deps…): a static library; includes are
# written from the top of the tree, e.g. "messages/ids.hpp". ACTORS: its sources include CAF.
function(troupe_add_library name)
  cmake_parse_arguments(arg "ACTORS" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
  troupe_use_precompiled_header(${name} "${arg_ACTORS}")
endfunction()

function(troupe_use_precompiled_header name actors)
  if(actors)
    target_precompile_headers(${name} REUSE_FROM troupe_precompiled_actors)
  else()
    target_precompile_headers(${name} REUSE_FROM troupe_precompiled)
  endif()
endfunction()

# troupe_add_test(NAME [ACTORS] SOURCES… LINK deps… LABELS labels… [TIMEOUT s]): one doctest executable and
# one ctest entry. Labels: unit | scenario | integration; asan (runs there too); concurrent (TSan); long.
# The targets tests_asan, tests_concurrent and tests_long build what runs under that label, and nothing else.
function(troupe_add_test name)
  cmake_parse_arguments(arg "ACTORS" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  troupe_use_precompiled_header(${name} "${arg_ACTORS}")
  target_link_libraries(${name} PRIVATE ${arg_LINK} troupe_doctest_main)
  target_compile_definitions(${name} PRIVATE
    TROUPE_SHARED_DATA="${TROUPE_SHARED_DATA}" TROUPE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    TROUPE_BINARY_DIR="${CMAKE_BINARY_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  foreach(label asan concurrent long)
    if(NOT TARGET tests_${label})
      add_custom_target(tests_${label})
    endif()
    if(label IN_LIST arg_LABELS)
      add_dependencies(tests_${label} ${name})
    endif()
  endforeach()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  # Exit code 77 is "skipped, for a reason that the output names".
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77)
endfunction()
