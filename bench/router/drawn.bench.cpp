// SPDX-License-Identifier: MIT
// Routers that draw while training, and those that need no scores.
#include "prytany/router/gshard_top_2.hpp"
#include "prytany/router/gumbel.hpp"
#include "prytany/router/hash_table.hpp"
#include "prytany/router/label_gated.hpp"
#include "prytany/router/labelled.hpp"
#include "prytany/router/noisy.hpp"
#include "prytany/router/perturbed.hpp"
#include "prytany/router/top_k.hpp"
#include "prytany/router/uncertain.hpp"
#include "router/router.hpp"

namespace {

using namespace bench;

int const added = add_later([] {
    auto const training = []<template <class> class Wrapper>(auto& s) {
        return params_of<Wrapper<top_k>>{.training = true, .router = {.k = s.k}};
    };
    add_router<noisy{top_k{}}>("noisy", [&](auto& s) { return training.operator()<noisy>(s); });
    add_router<gumbel{top_k{}}>("gumbel", [&](auto& s) { return training.operator()<gumbel>(s); });
    add_router<perturbed{top_k{}}>("perturbed",
                                   [&](auto& s) { return training.operator()<perturbed>(s); });
    add_router<gshard_top_2{}>("gshard_top_2",
                               [](auto&) { return gshard_top_2::params{.training = true}; });
    add_router<uncertain{}>("uncertain", [](auto& s) { return uncertain::params{.k = s.k}; });
    add_router<hash_table{}>("hash_table",
                             [](auto&) { return hash_table::params{.vocabulary = 50'000}; });
    add_router<labelled{}>("labelled", [](auto&) { return labelled::params{}; });
    add_router<label_gated{256, top_k{}}>(
        "label_gated", [](auto& s) { return params_of<label_gated<top_k>>{.router = {.k = s.k}}; });
});

} // namespace
