// SPDX-License-Identifier: MIT
#include "prytany/family/config.hpp"

#include <string>

#include "io/files.hpp"
#include "support/catch.hpp"

using namespace prytany;
using files::message;
using json = nlohmann::json;

namespace {

family::config of(char const* text) { return {json::parse(text), "c"}; }

} // namespace

TEST_CASE("config: values by key, null counts as left out") {
    auto const c = of(R"({"n": 3, "most": 9223372036854775807, "x": 1.5, "yes": true, "t": "silu",
                          "none": null, "list": [1, 2], "inner": {"n": 4}})");
    CHECK(c.where() == "c");
    CHECK(c.integer("n") == 3);
    CHECK(c.integer("n", 5) == 3);
    CHECK(c.integer("other", 5) == 5);
    CHECK(c.integer("none", 6) == 6);
    CHECK(c.integer("most") == std::numeric_limits<index_t>::max());
    CHECK(c.number("x") == 1.5);
    CHECK(c.number("n") == 3.0);
    CHECK(c.number("none", 2.5) == 2.5);
    CHECK(c.flag("yes"));
    CHECK(!c.flag("none", false));
    CHECK(c.text("t") == "silu");
    CHECK(c.text("none", "gelu") == "gelu");
    CHECK(c.has("n"));
    CHECK(!c.has("none"));
    CHECK(!c.has("other"));
    CHECK(c.inner("inner").integer("n") == 4);
    CHECK(!c.inner("none").has("n"));
    CHECK(c.entries("list") == 2);
    CHECK(c.entries("none") == 0);
    c.require("t", {"gelu", "silu"});
    c.require("other", {"silu"}, "silu");
}

TEST_CASE("config: another type is named with the key, what was expected and what was got") {
    auto const c = of(R"({"s": "three", "x": 1.5, "minus": -3, "much": 9223372036854775808,
                          "none": null, "list": [1, 2], "inner": {"n": "x"}, "yes": true})");
    auto const integer = [&](char const* key) { return message([&] { (void)c.integer(key); }); };
    CHECK(integer("s") == "c: s: expected an integer from 0 on, got \"three\"");
    CHECK(integer("x") == "c: x: expected an integer from 0 on, got 1.5");
    CHECK(integer("minus") == "c: minus: expected an integer from 0 on, got -3");
    CHECK(integer("much") == "c: much: expected an integer from 0 on, got 9223372036854775808");
    CHECK(integer("none") == "c: none: expected an integer from 0 on, got nothing");
    CHECK(integer("other") == "c: other: expected an integer from 0 on, got nothing");
    CHECK(integer("list") == "c: list: expected an integer from 0 on, got an array");
    CHECK(integer("yes") == "c: yes: expected an integer from 0 on, got true");
    CHECK(message([&] { (void)c.integer("s", 3); }) ==
          "c: s: expected an integer from 0 on, got \"three\"");
    CHECK(message([&] { (void)c.number("s"); }) == "c: s: expected a number, got \"three\"");
    CHECK(message([&] { (void)c.number("inner"); }) ==
          "c: inner: expected a number, got an object");
    CHECK(message([&] { (void)c.flag("x"); }) == "c: x: expected true or false, got 1.5");
    CHECK(message([&] { (void)c.text("x"); }) == "c: x: expected a text, got 1.5");
    CHECK(message([&] { (void)c.inner("list"); }) == "c: list: expected an object, got an array");
    CHECK(message([&] { (void)c.inner("inner").integer("n"); }) ==
          "c: inner: n: expected an integer from 0 on, got \"x\"");
    CHECK(message([&] { (void)c.entries("x"); }) == "c: x: expected a list, got 1.5");
    CHECK(message([&] {
              c.require("s", {"one", "two"});
          }) == "c: s: expected one or two, got \"three\"");
    CHECK(message([&] { c.require("other", {"one"}); }) ==
          "c: other: expected a text, got nothing");
    CHECK(message([&] { c.require("other", {"one"}, "two"); }) ==
          "c: other: expected one, got \"two\"");
}

TEST_CASE("config: the number of experts has three names") {
    CHECK(of(R"({"num_experts": 3})").experts() == 3);
    CHECK(of(R"({"num_local_experts": 4})").experts() == 4);
    CHECK(of(R"({"n_routed_experts": 5, "num_experts": null})").experts() == 5);
    CHECK(message([] { (void)of("{}").experts(); }) ==
          "c: expected num_experts, num_local_experts or n_routed_experts, got none of them");
}

TEST_CASE("config: out of a file or a folder") {
    files::folder const here;
    here.write("config.json", R"({"n": 3})");
    CHECK(family::config(here.path).integer("n") == 3);
    CHECK(family::config(here.at("config.json")).integer("n") == 3);
    CHECK(family::config(here.path).where() == here.at("config.json"));
    CHECK(message([&] { family::config(here.at("none")); }).find(here.at("none")) == 0);
    for (char const* const text :
         {"", "[1]", "3", "{\"n\": 3", "{\"n\": 3} x", "\xff", "{'n': 3}"}) {
        auto const path = here.write("bad.json", text);
        CHECK(message([&] { family::config{path}; }) ==
              path + ": expected a JSON object, got something else");
    }
    auto const large = here.write("large.json", "{}");
    std::filesystem::resize_file(large, (16u << 20) + 1);
    CHECK(message([&] { family::config{large}; }) ==
          large + ": expected at most 16 MiB, got 16777217");
}

TEST_CASE("config: a hostile file costs neither the stack nor a terminal") {
    files::folder const here;
    for (char const open : {'[', '{'})
        for (bool const closed : {false, true}) {
            std::string text = "{\"rope_parameters\":{\"a\":", end;
            for (int i = 0; i < 1'000'000; ++i) {
                text += open == '[' ? "[" : "{\"a\":";
                end += open == '[' ? ']' : '}';
            }
            if (open == '{') text += "1";
            auto const path = here.write("deep.json", closed ? text + end + "}}" : text);
            CHECK(message([&] { (void)family::config(path).inner("rope_parameters"); }) ==
                  path + ": expected at most 32 levels of JSON, got deeper nesting");
        }
    auto const path = here.write("ansi.json", R"({"t": "\u001b[2J", "long": ")" +
                                                  std::string(100'000, 'x') + "\"}");
    family::config const c{path};
    CHECK(message([&] { c.require("t", {"silu"}); }).find('\x1b') == std::string::npos);
    CHECK(message([&] { (void)c.integer("t"); }).find('\x1b') == std::string::npos);
    CHECK(message([&] { c.require("long", {"silu"}); }).size() < 400);
    CHECK(message([&] { (void)c.integer("long"); }).size() < 400);
}
