// SPDX-License-Identifier: MIT
// A stack of attention and Mixture-of-Experts blocks between an embedding and a head.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "prytany/layer/attention.hpp"
#include "prytany/layer/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// The parts of one pass, in the order in which an observer hears of their ends.
enum class step { embed, attention, norm, experts, head };

/// The sizes of a decoder around its layers.
struct decoder_shape {
    index_t vocabulary = dynamic, layers = dynamic;
    attention_shape attention{};
};

/// Looks at nothing; an observer of a decoder has both calls.
struct unobserved_decoder {
    constexpr void routed(index_t, routing const&) const noexcept {}
    constexpr void passed(step) const noexcept {}
};

namespace detail {

/// Whether no token of a layer depends on later ones, as far as its type tells.
template <class Layer>
constexpr bool looks_back() noexcept {
    if constexpr (requires { Layer::promise; }) return Layer::promise.causal;
    else return true;
}

} // namespace detail

/// A pre-norm decoder-only language model whose feed-forward part is a Mixture of Experts:
///
///     x = E[token];   per layer: x += attention(x), x += moe(norm(x));   logits = norm(x) · Hᵀ
///
/// `Layer` is the Mixture of Experts, `Format` stores attention, embedding and head. Weights are
/// const during a call; a `state` holds the sequence so far, a workspace the memory of the call.
/// Models    –
/// Throws    error: construction with sizes that do not fit; a token outside the vocabulary; more
///           tokens than positions; a router that needs more than rows and ids
/// Example   examples/language_model        Test   tests/layer/decoder.test.cpp
template <moe_layer Layer, auto Format = dense<float>{}>
class decoder {
    static_assert(detail::looks_back<Layer>(),
                  "decoder: this router looks at later tokens, which a decoder does not have yet");

public:
    struct scratch {
        matrix_view<float> x, normed, sum;
        matrix_view<kernel::input_of<Format>> read; // what the head reads, if rounded
        typename attention_block<Format>::scratch attention;
        typename Layer::scratch layer;
    };
    /// One sequence: its keys and values, and how many tokens it has.
    class state {
    public:
        explicit state(decoder const& model)
            : caches_(model.blocks_.size(), kv_cache(model.shape_.attention)) {}
        index_t length() const noexcept { return length_; }
        /// Forgets the tokens from `length` on; 0 begins a new sequence.
        void rewind(index_t length) noexcept { length_ = std::min(length_, length); }

    private:
        friend decoder;
        std::vector<kv_cache> caches_;
        index_t length_ = 0;
    };

    /// `make(i)` gives the Mixture of Experts of layer i; all have the same sizes.
    template <class Make>
    decoder(decoder_shape const& size, Make&& make) : shape_(size) {
        constexpr index_t largest = index_t{1} << 30; // no product of two sizes overflows
        for (auto [name, value] :
             {std::pair{"vocabulary", size.vocabulary}, {"layers", size.layers}})
            if (value < 1 || value > largest)
                throw error(std::string("decoder.") + name, "1 to " + std::to_string(largest),
                            std::to_string(value));
        index_t const model = size.attention.model;
        for (index_t i = 0; i < size.layers; ++i) {
            blocks_.push_back({attention_block<Format>(size.attention), {}, make(i)});
            blocks_.back().norm.resize(model, 1);
            if (blocks_.back().moe.sizes().model != model)
                throw error("decoder layer " + std::to_string(i),
                            "model width " + std::to_string(model),
                            std::to_string(blocks_.back().moe.sizes().model));
            // one scratch serves all
            if (room_of(blocks_.back().moe) != room_of(blocks_[0].moe))
                throw error("decoder layer " + std::to_string(i),
                            "the sizes and experts per token of layer 0", "others");
        }
        embedding_.resize(size.vocabulary, model);
        head_.resize(size.vocabulary, model);
        norm_.resize(model, 1);
    }

    decoder_shape const& sizes() const noexcept { return shape_; }
    index_t layers() const noexcept { return static_cast<index_t>(blocks_.size()); }
    Layer& layer(index_t i) noexcept { return blocks_[static_cast<std::size_t>(i)].moe; }
    Layer const& layer(index_t i) const noexcept {
        return blocks_[static_cast<std::size_t>(i)].moe;
    }

    /// Calls visit(tensor, i) for every logical matrix; i is dynamic outside the layers.
    template <class Visit>
    void for_each_tensor(Visit&& visit) {
        visit_tensors(*this, visit);
    }
    template <class Visit>
    void for_each_tensor(Visit&& visit) const {
        visit_tensors(*this, visit);
    }
    void lay_out(scratch& room, arena& memory, index_t tokens, index_t workers) const {
        index_t const model = shape_.attention.model;
        room.x = memory.take<float>(tokens, model);
        room.normed = memory.take<float>(tokens, model);
        room.sum = memory.take<float>(tokens, model);
        if constexpr (kernel::rounds<Format>())
            room.read =
                memory.take<kernel::input_of<Format>>(tokens, kernel::read_stride<Format>(model));
        blocks_[0].attention.lay_out(room.attention, memory, tokens, workers);
        blocks_[0].moe.lay_out(room.layer, memory, tokens, workers);
    }

    /// Appends tokens to a sequence and writes the logits of the last `logits.rows` of them.
    template <executor X, class Observer = unobserved_decoder>
    void forward(std::span<std::int32_t const> tokens, state& sequence, matrix_view<float> logits,
                 workspace& ws, X&& pool, Observer&& watch = {}) const {
        auto const count = static_cast<index_t>(tokens.size());
        check(tokens, sequence, logits);
        if (count == 0) return;
        ws.reserve(*this, count, pool);
        arena memory = ws.open();
        scratch room{};
        lay_out(room, memory, count, pool.width());
        input normed(room.normed);
        normed.ids = tokens;
        normed.first = sequence.length_;
        if constexpr (requires { blocks_[0].moe.require(normed); })
            for (block const& b : blocks_) b.moe.require(normed);
        embed(tokens, room.x);
        watch.passed(step::embed);
        for (std::size_t i = 0; i < blocks_.size(); ++i) {
            block const& b = blocks_[i];
            b.attention.run(room.attention, room.x, sequence.length_, sequence.caches_[i], pool);
            watch.passed(step::attention);
            normalise(room.x, b.norm, room.normed, pool);
            normed.seed = i; // layers draw other numbers
            watch.passed(step::norm);
            b.moe.run(room.layer, normed, room.sum, pool,
                      [&](routing const& r) { watch.routed(static_cast<index_t>(i), r); });
            add(room.sum, room.x, pool);
            watch.passed(step::experts);
        }
        sequence.length_ += count;
        finish(room, room.x.part(count - logits.rows, logits.rows), logits, pool);
        watch.passed(step::head);
    }

private:
    struct block {
        attention_block<Format> attention;
        column norm;
        Layer moe;
    };
    decoder_shape shape_;
    std::vector<block> blocks_;
    packed<Format> embedding_, head_;
    column norm_;

    /// What tells two layers of different sizes or slots apart.
    static std::pair<shape, index_t> room_of(Layer const& layer) {
        arena count;
        typename Layer::scratch room{};
        layer.lay_out(room, count, 64, 1);
        return {layer.sizes(), count.used()};
    }
    template <class Self, class Visit>
    static void visit_tensors(Self& model, Visit& visit) {
        index_t const vocabulary = model.shape_.vocabulary, size = model.shape_.attention.model;
        visit(tensor{tensor_name{"decoder", "embedding"}, vocabulary, size, &model.embedding_},
              dynamic);
        for (std::size_t i = 0; i < model.blocks_.size(); ++i) {
            auto& b = model.blocks_[i];
            auto const here = [&](auto const& t) { visit(t, static_cast<index_t>(i)); };
            b.attention.for_each_tensor(here);
            visit(
                tensor{tensor_name{"decoder", "norm"}, size, index_t{1}, &b.norm, row_map{}, true},
                static_cast<index_t>(i));
            b.moe.for_each_tensor(here);
        }
        visit(
            tensor{tensor_name{"decoder", "norm"}, size, index_t{1}, &model.norm_, row_map{}, true},
            dynamic);
        visit(tensor{tensor_name{"decoder", "head"}, vocabulary, size, &model.head_}, dynamic);
    }
    void check(std::span<std::int32_t const> tokens, state const& sequence,
               matrix_view<float> logits) const {
        auto const count = static_cast<index_t>(tokens.size());
        index_t const left = shape_.attention.positions - sequence.length_;
        if (count > left)
            throw error("decoder tokens", "at most " + std::to_string(left) + " more positions",
                        std::to_string(count));
        if (logits.rows < 0 || logits.rows > count ||
            (logits.rows > 0 && logits.cols != shape_.vocabulary))
            throw error("decoder logits", "at most " + dims_text(count, shape_.vocabulary),
                        dims_text(logits.rows, logits.cols));
        if (logits.rows > 0 && logits.data == nullptr)
            throw error("decoder logits", dims_text(logits.rows, logits.cols), "a null pointer");
        for (auto const token : tokens)
            if (token < 0 || token >= shape_.vocabulary)
                throw error("token", "0 to " + std::to_string(shape_.vocabulary - 1),
                            std::to_string(token));
    }
    void embed(std::span<std::int32_t const> tokens, matrix_view<float> x) const noexcept {
        for (index_t t = 0; t < x.rows; ++t)
            embedding_.unpack(tokens[static_cast<std::size_t>(t)],
                              {x.row(t), static_cast<std::size_t>(x.cols)});
    }
    template <class X>
    static void over_rows(index_t rows, X&& pool, auto&& f) {
        constexpr index_t together = 32;
        pool.for_each((rows + together - 1) / together, [&](index_t i, index_t) {
            for (index_t t = i * together; t < std::min(rows, (i + 1) * together); ++t) f(t);
        });
    }
    template <class X>
    void normalise(matrix_view<float> x, column const& norm, matrix_view<float> to,
                   X&& pool) const {
        over_rows(x.rows, pool, [&](index_t t) {
            kernel::rms_norm(x.row(t), norm.data(), to.row(t), x.cols, shape_.attention.epsilon);
        });
    }
    template <class X>
    static void add(matrix_view<float> sum, matrix_view<float> x, X&& pool) {
        over_rows(x.rows, pool, [&](index_t t) {
            for (index_t c = 0; c < x.cols; ++c) x.row(t)[c] += sum.row(t)[c];
        });
    }
    template <class X>
    void finish(scratch& room, matrix_view<float> x, matrix_view<float> logits, X&& pool) const {
        if (x.rows == 0) return;
        normalise(x, norm_, room.normed, pool);
        auto const normed =
            kernel::as_read<Format>(kernel::picked_rows{room.normed.data, room.normed.stride},
                                    x.rows, x.cols, room.read.data);
        detail::over_rows_or_panels(
            pool, x.rows, head_.panels(),
            [&](index_t first, index_t rows, index_t from, index_t to, index_t) {
                auto const write = [&](index_t row, index_t panel, simd::float_pair sum) {
                    index_t const column = panel * panel_lanes;
                    simd::store_pair(logits.row(first + row) + column, sum, logits.cols - column);
                };
                kernel::multiply<Format>(normed.from(first), rows, head_, from, to, write);
            });
    }
};

} // namespace prytany::inline PRYTANY_ABI
