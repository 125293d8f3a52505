// SPDX-License-Identifier: MIT
#include "prytany/exec/concept.hpp"

#include "prytany/exec/sequential.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "support/catch.hpp"

using namespace prytany;

namespace {

// The least an executor is.
struct least {
    index_t width() const { return 1; }
    template <class F>
    void for_each(index_t count, F&& f) {
        while (count-- > 0) f(count, index_t{0}); // any order is allowed
    }
};
struct without_width {
    template <class F>
    void for_each(index_t, F&&) {}
};
struct without_loop {
    index_t width() const { return 1; }
};
struct unsigned_width {
    unsigned width() const { return 1; }
    template <class F>
    void for_each(index_t, F&&) {}
};

} // namespace

TEST_CASE("executor: its models") {
    STATIC_REQUIRE(executor<sequential>);
    STATIC_REQUIRE(executor<thread_pool>);
    STATIC_REQUIRE(executor<least>);
}

TEST_CASE("executor: each requirement is required") {
    STATIC_REQUIRE(!executor<without_width>);
    STATIC_REQUIRE(!executor<without_loop>);
    STATIC_REQUIRE(!executor<unsigned_width>);
    STATIC_REQUIRE(!executor<int>);
    STATIC_REQUIRE(has_for_each<without_width>); // it fails for the reason it was made for
    STATIC_REQUIRE(has_width<without_loop>);
}
