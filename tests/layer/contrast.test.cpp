// SPDX-License-Identifier: MIT
#include "prytany/layer/contrast.hpp"

#include "conformance/numbers.hpp"
#include "support/catch.hpp"

using namespace prytany;
using row = std::vector<float>;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");

row scores_of(row const& strong, row const& weak, contrast const& own = {}) {
    row all(strong.size(), 7);
    contrast_scores(strong, weak, all, own);
    return all;
}
index_t choice(row const& strong, row const& weak, contrast const& own = {}) {
    return best_token(scores_of(strong, weak, own));
}
void require_near(row const& got, std::vector<double> const& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (std::size_t i = 0; i < got.size(); ++i)
        CHECK((double{got[i]} == wanted[i] ||
               std::abs(double{got[i]} - wanted[i]) <= 1e-6 + 1e-5 * std::abs(wanted[i])));
}
row normal(std::uint64_t seed, index_t count, double scale = 3) {
    return numbers::rows::normal(1, count, seed, scale).all;
}
row const strong{3, 2.5f, 1, -1}, weak{3.2f, 1, .5f, -2};

} // namespace

TEST_CASE("contrast: the numbers of the literature") {
    auto const got = scores_of(strong, weak);
    require_near(got, {2.9, 3.25, 1.25, -infinity});
    CHECK(best_token(strong) == 0);
    CHECK(best_token(got) == 1);
    double total = 0;
    for (float const x : got) total += std::exp(double{x});
    double const wanted[] = {0.382978, 0.543471, 0.073551, 0};
    for (std::size_t i = 0; i < 4; ++i)
        CHECK(std::abs(std::exp(got[i]) / total - wanted[i]) < 1e-6);
    // the bar is 0.697415
    CHECK(scores_of({3, .69741f}, {0, 0})[1] == -infinity);
    CHECK(scores_of({3, .69742f}, {0, 0})[1] > 1);
}

TEST_CASE("contrast: the formula in double, any length and temperature") {
    for (index_t const count : {1, 2, 7, 64, 1000}) {
        auto const a = normal(11, count), b = normal(12, count);
        for (contrast const own : {contrast{}, contrast{.alpha = .02f, .beta = 2},
                                   contrast{.strong_temperature = .5f, .weak_temperature = 3}}) {
            auto const got = scores_of(a, b, own);
            double const top = double{*std::max_element(a.begin(), a.end())};
            for (std::size_t i = 0; i < a.size(); ++i) {
                double const s = double{a[i]} / double{own.strong_temperature},
                             v = double{b[i]} / double{own.weak_temperature},
                             bar =
                                 std::log(double{own.alpha}) + top / double{own.strong_temperature};
                if (std::abs(s - bar) < 1e-4) continue;
                double const wanted =
                    s < bar ? -double{infinity} : (1 + double{own.beta}) * s - double{own.beta} * v;
                if (s < bar) CHECK(got[i] == -infinity);
                else CHECK(std::abs(got[i] - wanted) <= 1e-5 + 1e-5 * std::abs(wanted));
            }
        }
    }
}

TEST_CASE("contrast: what is equal to the bar stays, one step below it does not") {
    for (float const alpha : {.1f, .25f, .5f, .9f}) {
        float const bar = std::log(alpha) + 3;
        auto const got = scores_of({3, bar, std::nextafter(bar, -9.0f), std::nextafter(bar, 9.0f)},
                                   {0, 0, 0, 0}, {.alpha = alpha});
        CHECK(got[1] > -infinity);
        CHECK(got[2] == -infinity);
        CHECK(got[3] > -infinity);
    }
}

TEST_CASE("contrast: alpha 1 decodes the strong pass greedily, alpha 0 contrasts every token") {
    for (std::uint64_t seed = 1; seed < 50; ++seed) {
        auto const a = normal(seed, 90), b = normal(seed + 100, 90);
        auto const got = scores_of(a, b, {.alpha = 1, .beta = 4});
        CHECK(best_token(got) == best_token(a));
        CHECK(std::count(got.begin(), got.end(), -infinity) == 89);
        auto const all = scores_of(a, b, {.alpha = 0});
        CHECK(std::count(all.begin(), all.end(), -infinity) == 0);
    }
    // of equally strong ones the weak pass decides
    CHECK(choice({2, 2, 1}, {1, 0, -9}, {.alpha = 1}) == 1);
}

TEST_CASE("contrast: beta 0, or two equal passes, give the plausible strong logits, bit for bit") {
    auto const a = normal(5, 300), b = normal(6, 300);
    row const lost(300, none), same = a;
    auto const plain = scores_of(a, b, {.beta = 0});
    CHECK(numbers::same_bits(scores_of(a, lost, {.beta = 0}), plain));
    CHECK(numbers::same_bits(scores_of(a, same, {.beta = 3}), plain));
    CHECK(std::count(plain.begin(), plain.end(), -infinity) > 0);
    for (std::size_t i = 0; i < 300; ++i) CHECK((plain[i] == a[i] || plain[i] == -infinity));
}

TEST_CASE("contrast: log-probabilities choose as logits do") {
    for (std::uint64_t seed = 1; seed < 30; ++seed) {
        auto a = normal(seed, 50), b = normal(seed + 60, 50);
        auto const before = choice(a, b);
        for (row* of : {&a, &b}) {
            double total = 0;
            for (float const x : *of) total += std::exp(double{x});
            for (float& x : *of) x -= static_cast<float>(std::log(total));
        }
        CHECK(choice(a, b) == before);
    }
}

TEST_CASE("contrast: a token that is shut off raises the bar and does not come") {
    require_near(scores_of(strong, weak, {.closed = 0}), {-infinity, 3.25, 1.25, -infinity});
    // the bar of the first is 0.697415, without it the second's were 0.197415
    CHECK(scores_of({3, 2.5f, .5f}, {0, 0, 0}, {.closed = 0})[2] == -infinity);
    CHECK(scores_of({-9, 2.5f, .5f}, {0, 0, 0}, {.closed = 0})[2] > 0);
    CHECK(scores_of(strong, weak, {.closed = 3}) == scores_of(strong, weak));
    auto const nothing = scores_of({9, 1, 1}, {0, 0, 0}, {.closed = 0});
    CHECK(nothing == row(3, -infinity));
    CHECK(best_token(nothing) == 0);
}

TEST_CASE("contrast: equal scores go to the lower token") {
    CHECK(choice({1, 2, 2, 2}, {0, 1, .5f, .5f}) == 2);
    CHECK(choice(row(50, 1), row(50, 1)) == 0);
    CHECK(best_token(row{-0.0f, 0.0f}) == 0);
    CHECK(best_token(row{none, -infinity, none}) == 1);
}

TEST_CASE("contrast: NaN and infinities") {
    // NaN on one side: not plausible; it neither moves the bar nor spoils the others
    CHECK(scores_of({none, 2.5f, 1, -1}, {3.2f, 1, none, -2}) ==
          row{-infinity, scores_of({0, 2.5f}, {0, 1})[1], -infinity, -infinity});
    CHECK(scores_of({1, -infinity}, {1, 1}, {.alpha = 0}) == row{1, -infinity});
    CHECK(scores_of({1, 1}, {-infinity, infinity}) == row{infinity, -infinity});
    CHECK(scores_of({infinity, 5, infinity, infinity}, {2, 5, infinity, none}) ==
          row{infinity, -infinity, infinity, -infinity});
    for (float const alpha : {0.0f, .1f, 1.0f})
        for (float const all : {none, -infinity})
            for (float const other : {none, -infinity, infinity, 1.0f})
                CHECK(scores_of(row(5, all), row(5, other), {.alpha = alpha}) == row(5, -infinity));
    float const odd[] = {none, infinity, -infinity, 3e38f, -3e38f, 0, 1e-40f};
    for (float const a : odd)
        for (float const b : odd)
            for (float const x : scores_of({a, b, 1}, {b, a, 0}, {.alpha = 0, .beta = 2}))
                CHECK(!std::isnan(x));
}

TEST_CASE("contrast: no token; what is out of range") {
    CHECK(scores_of({}, {}).empty());
    CHECK(scores_of({4}, {9}, {.closed = 0}) == row{-infinity});
    auto const sentence = [](contrast const& own, std::size_t count = 4, std::size_t room = 4) {
        row all(room);
        try {
            contrast_scores(strong, row(count), all, own);
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence({.alpha = 1, .beta = 0}).empty());
    CHECK(sentence({}, 3) == "contrast: expected rows of 4, got 3");
    CHECK(sentence({}, 4, 5) == "contrast: expected rows of 4, got 5");
    CHECK(sentence({.alpha = 2}) == "contrast.alpha: expected 0 to 1, got 2.000000");
    CHECK(sentence({.beta = -1}) == "contrast.beta: expected a finite number ≥ 0, got -1.000000");
    CHECK(sentence({.weak_temperature = 0}) ==
          "contrast.temperature: expected a finite number > 0, got 0.000000");
    CHECK(sentence({.closed = 4}) == "contrast.closed: expected -1 to 3, got 4");
    CHECK(sentence({.closed = -2}) == "contrast.closed: expected -1 to 3, got -2");
    for (float const wrong : {none, infinity, -infinity}) {
        CHECK(!sentence({.alpha = wrong}).empty());
        CHECK(!sentence({.beta = wrong}).empty());
        CHECK(!sentence({.strong_temperature = wrong}).empty());
    }
}
