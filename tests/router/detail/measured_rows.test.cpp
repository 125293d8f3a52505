// SPDX-License-Identifier: MIT
#include "prytany/router/detail/measured_rows.hpp"

#include "conformance/numbers.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::at, numbers::rows;

TEST_CASE("measured_rows: lengths of what is packed, and the rows as they were") {
    for (index_t const count : {1, 8, 17, 40})
        for (index_t const cols : {1, 7, 64}) {
            detail::measured_rows some;
            some.resize(count, cols);
            for (index_t r = 0; r < count; ++r) CHECK(some.lengths()[r] == 0);
            auto const all = rows::normal(count, cols, 3);
            tensor const t{tensor_name{"router", "weight"}, count, cols, &some};
            t.pack(all.view());
            rows back(count, cols);
            t.unpack(back.view());
            CHECK(numbers::same_bits(back.all, all.all));
            auto const x = rows::normal(1, cols, 4);
            for (index_t r = 0; r < count; ++r) {
                double squares = 0, off = 0;
                for (index_t c = 0; c < cols; ++c) {
                    double const w = all.all[at(r * cols + c)], d = x.all[at(c)] - w;
                    squares += w * w;
                    off += d * d;
                }
                CHECK(some.lengths()[r] == Approx(std::sqrt(squares)).epsilon(1e-6));
                CHECK(some.distance_squared(x.all.data(), r) == Approx(off).epsilon(1e-12));
            }
            CHECK(some.bytes() >= count * cols * 4);
        }
}

TEST_CASE("measured_rows: a row packed again is measured again") {
    detail::measured_rows some;
    some.resize(2, 2);
    float const first[] = {3, 4}, second[] = {5, 12};
    some.pack(1, first);
    CHECK(some.lengths()[1] == 5);
    some.pack(1, second);
    CHECK(some.lengths()[1] == 13);
    CHECK(some.lengths()[0] == 0);
}

TEST_CASE("measured_rows: lengths whose squares leave the range of float") {
    std::vector<float> const large{3e30f, 4e30f}, small{3e-30f, 4e-30f}, none;
    CHECK(detail::length_of(large.data(), 2) == Approx(5e30).epsilon(1e-6));
    CHECK(detail::length_of(small.data(), 2) == Approx(5e-30).epsilon(1e-6));
    CHECK(detail::length_of(none.data(), 0) == 0);
    float const broken[] = {1, std::nanf("")};
    CHECK(std::isnan(detail::length_of(broken, 2)));
}
