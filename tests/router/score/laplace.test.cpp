// SPDX-License-Identifier: MIT
#include "prytany/router/score/laplace.hpp"

#include "router/score/held.hpp"

using namespace prytany;
using numbers::at, numbers::rows;
using scorers::held;

namespace {

double distance(std::vector<double> const& x, std::vector<double> const& w) {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += (x[i] - w[i]) * (x[i] - w[i]);
    return std::sqrt(sum);
}
std::vector<double> formula(held<laplace{}> const& own, std::vector<double> const& x) {
    std::vector<double> all;
    auto const& m = own.stored.at("weight");
    for (std::size_t e = 0; e < m.rows; ++e) all.push_back(-distance(x, scorers::row_of(m, e)));
    return all;
}

} // namespace

TEST_CASE("laplace: minus the distance to each point") {
    held<laplace{}> own(3, 2);
    own.set("weight", {0, 0, 3, 0, 3, 4});
    rows x(1, 2);
    x.all = {0, 4};
    CHECK(own.score(x.view()).all == std::vector<float>{-4, -5, -3});
}

TEST_CASE("laplace: its formula in double") { scorers::follows<laplace{}>(formula); }

TEST_CASE("laplace: near a point, and far from zero, no digits are lost") {
    for (double const far : {0.0, 1.0, 1000.0})
        for (double const off : {0.0, 1e-4, 1e-2, 0.3, 1.0, 10.0}) {
            index_t const experts = 19, model = 33;
            held<laplace{}> own(experts, model);
            auto points = rows::normal(experts, model, 5);
            for (float& w : points.all) w += static_cast<float>(far);
            own.set("weight", points.all);
            rows x(experts, model);
            auto const away = twin::normal(x.all.size(), 6, off);
            for (std::size_t i = 0; i < x.all.size(); ++i)
                x.all[i] = points.all[i] + static_cast<float>(away[i]);
            auto const got = own.score(x.view());
            for (index_t t = 0; t < experts; ++t) {
                auto const wanted = formula(own, twin::doubles(x.row_of(t)));
                for (std::size_t e = 0; e < wanted.size(); ++e) {
                    CAPTURE(far, off, t, e, wanted[e]);
                    CHECK(scorers::near(got.row_of(t)[e], wanted[e]));
                }
                if (off == 0) CHECK(got.row_of(t)[at(t)] == 0);
            }
        }
}

TEST_CASE("laplace: lengths whose squares leave the range of float") {
    held<laplace{}> own(2, 2);
    own.set("weight", {3e20f, 4e20f, 0, 0});
    rows x(2, 2);
    x.all = {0, 0, 3e20f, 0};
    auto const z = own.score(x.view());
    CHECK(scorers::near(z.all[0], -5e20));
    CHECK(z.all[1] == 0);
    CHECK(scorers::near(z.all[2], -4e20));
    CHECK(scorers::near(z.all[3], -3e20));
}

TEST_CASE("laplace: keeps to its rows; the names and sizes of its tensors") {
    scorers::keeps_to_itself<laplace{}>();
    CHECK(scorers::names<laplace{}>(5, 4) == std::vector<std::string>{"router.weight[5, 4]"});
    STATIC_REQUIRE(scorer<laplace>);
}
