// SPDX-License-Identifier: MIT
// The model for one type of weights; each type is compiled in a file of its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

#include "model.hpp"
#include "stored_as.hpp"

#include "prytany/family/qwen2_moe_decoder.hpp"
#include "prytany/layer/any_layer.hpp"

namespace example {

using namespace prytany;

/// The layer of the bundled model with every size known to the compiler, then the one for any size.
template <auto Format>
using layer_of =
    any_layer<moe<shape{128, 64, 16, 1, 128}, top_k{.k = 4}, ffn{swiglu}, Format, shared_gate{}>,
              family::qwen2_moe::layer<Format>>;

template <auto Format>
class model_of final : public model {
    using family_of = family::qwen2_moe_decoder<Format, layer_of<Format>>;
    using decoder = typename family_of::model;

public:
    model_of(shown_source const& source, family::config const& from, thread_pool& pool)
        : decoder_(family_of::load(source, from)), sequence_(decoder_), pool_(pool) {
        describe(source);
    }
    description const& about() const noexcept override { return about_; }
    void reserve(index_t bytes) override { ws_.reserve(decoder_, bytes, pool_); }
    void restart() noexcept override { sequence_.rewind(0); }
    void feed(std::span<std::int32_t const> bytes, matrix_view<float> logits,
              listener& watch) override {
        decoder_.forward(bytes, sequence_, logits, ws_, pool_, heard{watch});
    }

private:
    struct heard {
        listener& to;
        void routed(index_t layer, routing const& r) const { to.routed(layer, r.plan); }
        void passed(step done) const { to.passed(static_cast<std::size_t>(done)); }
    };
    decoder decoder_;
    typename decoder::state sequence_;
    workspace ws_;
    thread_pool& pool_;
    description about_;

    void describe(shown_source const& source) {
        auto const& size = decoder_.sizes();
        auto const& block = decoder_.layer(0);
        shape const experts = block.sizes();
        about_.folder = source.where();
        auto const path = std::filesystem::path(about_.folder).lexically_normal();
        about_.name = (path.has_filename() ? path : path.parent_path()).filename().string();
        about_.weight_type = Format.name();
        about_.fixed_sizes = block.which() == 0;
        about_.layers = size.layers;
        about_.model = experts.model;
        about_.heads = size.attention.heads;
        about_.kv_heads = size.attention.kv_heads;
        about_.head = size.attention.head;
        about_.positions = size.attention.positions;
        about_.experts = experts.experts;
        about_.kept = block.visit([](auto const& held) { return held.slots(); });
        about_.hidden = experts.hidden;
        about_.shared_hidden = experts.shared * experts.shared_hidden;
        for (auto const& tensor : source.tensors()) about_.parameters += tensor.count();
        decoder_.for_each_tensor([&](auto const& t, index_t layer) { count(t, layer); });
    }
    /// One byte reads one row of the embedding, the experts it is routed to, and all the rest.
    template <class Store>
    void count(tensor<Store> const& t, index_t layer) {
        index_t element = sizeof(float);
        if constexpr (requires { typename Store::element; })
            element = sizeof(typename Store::element);
        bool const embedding = t.name.role == "embedding";
        index_t used = t.rows * t.cols;
        if (embedding) used = t.cols;
        if (t.name.part == "expert" && t.name.expert >= about_.kept) used = 0; // k of them: any k
        auto const part = embedding                    ? step::embed
                          : layer == dynamic           ? step::head
                          : t.name.part == "attention" ? step::attention
                          : t.name.part == "decoder"   ? step::norm
                                                       : step::experts;
        about_.bytes += t.rows * t.cols * element;
        about_.used_parameters += used;
        about_.used_bytes += used * element;
        about_.used_bytes_of[static_cast<std::size_t>(part)] += used * element;
    }
};

} // namespace example
