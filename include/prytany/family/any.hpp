// SPDX-License-Identifier: MIT
// The family of a model, found from its config.json.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "prytany/family/config.hpp"
#include "prytany/family/deepseek_v2.hpp"
#include "prytany/family/deepseek_v3.hpp"
#include "prytany/family/gpt_oss.hpp"
#include "prytany/family/mixtral.hpp"
#include "prytany/family/olmoe.hpp"
#include "prytany/family/qwen2_moe.hpp"
#include "prytany/family/qwen3_moe.hpp"
#include "prytany/io/load.hpp"
#include "prytany/layer/any_layer.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace family {

/// A layer of any family; families of one form share a type.
template <auto Format = dense<float>{}>
using any = any_layer<mixtral::layer<Format>, qwen2_moe::layer<Format>, deepseek_v2::layer<Format>,
                      deepseek_v3::layer<Format>, gpt_oss::layer<Format>>;

/// Calls f(family) for the family whose `model_type` a config.json names.
///
/// Throws    error, naming the families there are
/// Test      tests/family/any.test.cpp
template <class F>
void visit(config const& from, F&& f) {
    std::string const type = from.text("model_type");
    std::string known;
    bool found = false;
    auto const attempt = [&]<class Family>(Family own) {
        for (auto const name : Family::model_types) {
            known += (known.empty() ? "" : ", ") + std::string(name);
            if (!found && name == type) {
                found = true;
                f(own);
            }
        }
    };
    attempt(mixtral{});
    attempt(qwen2_moe{});
    attempt(qwen3_moe{});
    attempt(olmoe{});
    attempt(deepseek_v2{});
    attempt(deepseek_v3{});
    attempt(gpt_oss{});
    if (!found) throw error(from.where() + ": model_type", "one of " + known, io::printable(type));
}

/// Layer `index` of a model: its sizes and rules from config.json, its weights from a source.
///
///     auto layer = family::load<dense<bf16>{}>(io::checkpoint{"m/"}, family::config{"m/"}, 3);
///
/// Throws    error: an unknown family, another rule, tensors missing, of other sizes or left over
/// Test      tests/family/any.test.cpp
template <auto Format = dense<float>{}, io::tensor_source Source>
any<Format> load(Source const& source, config const& from, index_t index) {
    std::optional<any<Format>> made;
    visit(from, [&]<class Family>(Family) {
        auto layer = Family::template make<Format>(from);
        io::load(layer, source, Family::names(index));
        made.emplace(std::move(layer));
    });
    return std::move(*made);
}

} // namespace family
} // namespace prytany::inline PRYTANY_ABI
