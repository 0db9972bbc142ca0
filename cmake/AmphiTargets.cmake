# One way to declare a module: the folder's *.cpp are the library, its *_test.cpp the unit tests beside the code.
#
#   amphi_module(rtp DEPENDS base)                       -> target amphi_rtp, test executable rtp_test
#   amphi_test(name SOURCES ... DEPENDS ... [LABELS ..]) -> a further test executable, one ctest entry
#
# DEPENDS names modules as architecture's table does; LIBRARIES names everything from outside.

add_library(amphi_options INTERFACE)
target_include_directories(amphi_options INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
target_compile_options(amphi_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor)
option(AMPHI_WERROR "Warnings are errors. The presets set it; a build with another compiler goes on." OFF)
if(AMPHI_WERROR)
  target_compile_options(amphi_options INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports false positives from inlined standard library code.
  target_compile_options(amphi_options INTERFACE -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow
                         -Wno-array-bounds -Wno-dangling-pointer)
endif()
include(cmake/Hardening.cmake)
if(AMPHI_SANITIZE)
  add_compile_options(-fsanitize=${AMPHI_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${AMPHI_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # Clang 14 cannot assemble coroutines with this check: "Cannot represent a difference across sections".
    add_compile_options(-fno-sanitize=function)
  endif()
endif()
if(AMPHI_SANITIZE STREQUAL "thread")
  # TSan does not understand std::atomic_thread_fence. Without std::atomic, Boost.Asio orders by means that it sees: its mutexes,
  # and reference counts that acquire and release.
  add_compile_definitions(BOOST_ASIO_DISABLE_STD_ATOMIC)
endif()

# What the sanitizers are told, by `tools/run_tests` and by a plain `ctest`. GLib's own allocator would hide from them who owns what.
set(AMPHI_TEST_ENVIRONMENT "")
if(AMPHI_SANITIZE)
  set(told ${PROJECT_SOURCE_DIR}/tests/sanitizers)
  set(AMPHI_TEST_ENVIRONMENT
      ASAN_OPTIONS=detect_leaks=1 LSAN_OPTIONS=suppressions=${told}/lsan.txt:print_suppressions=0 UBSAN_OPTIONS=print_stacktrace=1
      TSAN_OPTIONS=halt_on_error=1:suppressions=${told}/tsan.txt G_SLICE=always-malloc)
endif()

# What the sanitizers run: `ninja small_tests`, then `ctest -L "unit|simulation"`.
add_custom_target(small_tests)

# Gives AMPHI_SOURCE_DIR to the sources that read files of the repository, and to no other: a compiler cache then serves every checkout.
function(amphi_reads_repository)
  set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_DEFINITIONS AMPHI_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
endfunction()

function(amphi_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;DEPENDS;LIBRARIES;LABELS;ENVIRONMENT" ${ARGN})
  if(NOT AMPHI_TESTS)
    return()
  endif()
  add_executable(${name} ${A_SOURCES})
  list(TRANSFORM A_DEPENDS PREPEND amphi_)
  target_link_libraries(${name} PRIVATE amphi_options ${A_DEPENDS} ${A_LIBRARIES} GTest::gtest GTest::gtest_main)
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  if(AMPHI_SANITIZE)
    math(EXPR A_TIMEOUT "3 * ${A_TIMEOUT}")  # a test that hangs is meant, not one that is instrumented
  endif()
  if(NOT A_LABELS)
    set(A_LABELS unit)
  endif()
  if(A_LABELS MATCHES "unit|simulation")
    add_dependencies(small_tests ${name})
  endif()
  set(environment ${AMPHI_TEST_ENVIRONMENT} ${A_ENVIRONMENT})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${A_TIMEOUT} LABELS "${A_LABELS}" ENVIRONMENT "${environment}")
endfunction()

function(amphi_module name)
  cmake_parse_arguments(A "" "" "DEPENDS;LIBRARIES;PRIVATE_LIBRARIES;TEST_DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp)
  list(REMOVE_ITEM sources ${tests} "")
  list(TRANSFORM A_DEPENDS PREPEND amphi_)
  if(sources)
    add_library(amphi_${name} STATIC ${sources})
    target_link_libraries(amphi_${name} PUBLIC ${A_DEPENDS} ${A_LIBRARIES} PRIVATE amphi_options ${A_PRIVATE_LIBRARIES})
    target_include_directories(amphi_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>)
  else()
    add_library(amphi_${name} INTERFACE)
    target_link_libraries(amphi_${name} INTERFACE ${A_DEPENDS} ${A_LIBRARIES})
  endif()
  if(tests)
    amphi_test(${name}_test SOURCES ${tests} DEPENDS ${name} ${A_TEST_DEPENDS} LIBRARIES ${A_PRIVATE_LIBRARIES})
  endif()
endfunction()
