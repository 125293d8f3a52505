// SPDX-License-Identifier: MIT
// Every limit holds at its number and stops one above it.
#include "support/catch.hpp"

#include "io/files.hpp"
#include "prytany/io/limits.hpp"

using namespace prytany;
using files::message;
using files::parse;
using files::tensor;
using files::with;

TEST_CASE("a limit can be lowered, and an error says which was passed") {
    auto const bytes = with("{\"__metadata__\":{\"k\":\"\",\"l\":\"\"}," +
                                tensor("long name", "U8", "[1,1,1]", "[0,1]") + "," +
                                tensor("b", "U8", "[1]", "[1,2]") + "}",
                            files::zeros(2));
    io::limits exact{.header_bytes = std::ssize(bytes) - 10,
                     .tensors = 2,
                     .name_bytes = 9,
                     .dims = 3,
                     .metadata = 2};
    CHECK(parse(bytes, exact).tensors.size() == 2);
    auto const one_less = [&](index_t io::limits::*which) {
        io::limits less = exact;
        --(less.*which);
        return message([&] { parse(bytes, less); });
    };
    CHECK(one_less(&io::limits::header_bytes).find("a header of at most") != std::string::npos);
    CHECK(one_less(&io::limits::tensors).find("at most 1 tensors") != std::string::npos);
    CHECK(one_less(&io::limits::name_bytes).find("a name of at most 8 bytes") != std::string::npos);
    CHECK(one_less(&io::limits::dims).find("at most 2 sizes") != std::string::npos);
    CHECK(one_less(&io::limits::metadata).find("at most 1 entries") != std::string::npos);
}
