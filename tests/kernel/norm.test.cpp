// SPDX-License-Identifier: MIT
#include "prytany/kernel/norm.hpp"

#include <cmath>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"
#include "twin/guarded.hpp"
#include "twin/reference.hpp"

using namespace prytany;

namespace {

std::vector<std::size_t> lengths() {
    std::vector<std::size_t> all;
    for (std::size_t n = 1; n <= 130; ++n) all.push_back(n);
    for (std::size_t const n : std::vector<std::size_t>{255, 257, 511, 513, 1000, 1023, 1025, 4099})
        all.push_back(n);
    return all;
}

// A row, its weight and its bias, each against a forbidden page, and what comes out of them.
struct row_test {
    twin::row x, weight, bias;
    explicit row_test(std::size_t n, double mean = 0, double scale = 1)
        : x(twin::normal(n, n, scale)), weight(twin::normal(n, n + 1)),
          bias(twin::normal(n, n + 2)) {
        for (double& v : x) v = static_cast<float>(v + mean);
    }
    index_t count() const { return static_cast<index_t>(x.size()); }
    twin::row rms(float epsilon, twin::edge side = twin::edge::back) const {
        twin::guarded<float> a(twin::floats(x), side), w(twin::floats(weight), side),
            y(count(), side);
        kernel::rms_norm(a.data(), w.data(), y.data(), count(), epsilon);
        return twin::doubles(y.all());
    }
    twin::row layer(float epsilon, bool biased, twin::edge side = twin::edge::back) const {
        twin::guarded<float> a(twin::floats(x), side), w(twin::floats(weight), side),
            b(twin::floats(bias), side), y(count(), side);
        kernel::layer_norm(a.data(), w.data(), biased ? b.data() : nullptr, y.data(), count(),
                           epsilon);
        return twin::doubles(y.all());
    }
};

} // namespace

TEST_CASE("norm: rms_norm at every length to NMSE 1e-12, inside its buffers") {
    double worst = 0;
    for (std::size_t const n : lengths())
        for (double const scale : {1e-3, 1.0, 1e3}) {
            row_test const t(n, 0, scale);
            auto const wanted = twin::rms_norm(t.x, t.weight, static_cast<double>(1e-6f));
            auto const got = t.rms(1e-6f);
            worst = std::max(worst, twin::nmse(got, wanted));
            REQUIRE(t.rms(1e-6f, twin::edge::front) == got);
        }
    INFO("NMSE " << worst);
    CHECK(worst <= 1e-12);
}

TEST_CASE("norm: layer_norm at every length to NMSE 1e-12, inside its buffers") {
    double worst = 0;
    for (std::size_t const n : lengths()) {
        if (n == 1) continue; // x - mean is zero: only the bias is left
        for (double const scale : {1e-2, 1.0, 1e3})
            for (double const offset : {0.0, 3.0, -1000.0}) {
                bool const biased = n % 2 == 0;
                row_test const t(n, offset * scale, scale);
                auto const wanted = twin::layer_norm(t.x, t.weight, biased ? t.bias : twin::row{},
                                                     static_cast<double>(1e-5f));
                auto const got = t.layer(1e-5f, biased);
                worst = std::max(worst, twin::nmse(got, wanted));
                REQUIRE(t.layer(1e-5f, biased, twin::edge::front) == got);
            }
    }
    INFO("NMSE " << worst);
    CHECK(worst <= 1e-12);
}

TEST_CASE("norm: the output may be the input") {
    for (std::size_t const n : std::vector<std::size_t>{1, 3, 16, 17, 33, 100}) {
        row_test const t(n, 1);
        auto const w = twin::floats(t.weight), b = twin::floats(t.bias);
        auto x = twin::floats(t.x);
        kernel::rms_norm(x.data(), w.data(), x.data(), t.count(), 1e-6f);
        REQUIRE(twin::doubles(x) == t.rms(1e-6f));
        x = twin::floats(t.x);
        kernel::layer_norm(x.data(), w.data(), b.data(), x.data(), t.count(), 1e-5f);
        REQUIRE(twin::doubles(x) == t.layer(1e-5f, true));
    }
}

TEST_CASE("norm: epsilon keeps a row of zeros finite") {
    std::vector<float> const zero(19), one(19, 1.0f), shift(19, 0.5f);
    std::vector<float> y(19, -1.0f);
    kernel::rms_norm(zero.data(), one.data(), y.data(), 19, 1e-6f);
    CHECK(y == zero);
    kernel::layer_norm(one.data(), one.data(), shift.data(), y.data(), 19, 1e-5f);
    CHECK(y == shift); // a constant row has no deviation
    kernel::layer_norm(one.data(), one.data(), shift.data(), y.data(), 1, 1e-5f);
    CHECK(y[0] == 0.5f);
}
