// SPDX-License-Identifier: MIT
// The k best by each scorer.
#include "prytany/router/score/cosine.hpp"
#include "prytany/router/score/jittered.hpp"
#include "prytany/router/score/laplace.hpp"
#include "prytany/router/score/mlp.hpp"
#include "prytany/router/score/prototypes.hpp"
#include "prytany/router/score/x_moe.hpp"
#include "prytany/router/scored.hpp"
#include "prytany/router/top_k.hpp"
#include "router/router.hpp"

namespace {

using namespace bench;

template <auto Scorer>
void add(char const* name) {
    add_router<scored{Scorer, top_k{}}>(name, [](auto& s) {
        return params_of<scored<kind_of<Scorer>, top_k>>{.router = {.k = s.k}};
    });
}

int const added = add_later([] {
    add<cosine{}>("top_k_by_cosine");
    add<laplace{}>("top_k_by_laplace");
    add<jittered{linear{}}>("top_k_by_jittered");
    add<mlp{gelu}>("top_k_by_mlp");
    add<prototypes{}>("top_k_by_prototypes");
    add<x_moe{}>("top_k_by_x_moe");
});

} // namespace
