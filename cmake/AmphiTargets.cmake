# One way to declare a module: the folder's *.cpp are the library, its *_test.cpp the unit tests beside the code.
#
#   amphi_module(rtp DEPENDS base)                       -> target amphi_rtp, test executable rtp_test
#   amphi_test(name SOURCES ... DEPENDS ... [LABELS ..]) -> a further test executable, one ctest entry
#
# DEPENDS names modules as architecture's table does; LIBRARIES names everything from outside.

add_library(amphi_options INTERFACE)
target_include_directories(amphi_options INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
target_compile_options(amphi_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports false positives from inlined standard library code.
  target_compile_options(amphi_options INTERFACE -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow
                         -Wno-array-bounds -Wno-dangling-pointer)
endif()
if(AMPHI_SANITIZE)
  add_compile_options(-fsanitize=${AMPHI_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${AMPHI_SANITIZE})
endif()

function(amphi_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;DEPENDS;LIBRARIES;LABELS;ENVIRONMENT" ${ARGN})
  if(NOT AMPHI_TESTS)
    return()
  endif()
  add_executable(${name} ${A_SOURCES})
  list(TRANSFORM A_DEPENDS PREPEND amphi_)
  target_link_libraries(${name} PRIVATE amphi_options ${A_DEPENDS} ${A_LIBRARIES} GTest::gtest GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE AMPHI_SOURCE_DIR="${PROJECT_SOURCE_DIR}" AMPHI_BINARY_DIR="${CMAKE_BINARY_DIR}")
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  if(NOT A_LABELS)
    set(A_LABELS unit)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${A_TIMEOUT} LABELS "${A_LABELS}" ENVIRONMENT "${A_ENVIRONMENT}")
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
