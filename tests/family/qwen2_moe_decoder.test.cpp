// SPDX-License-Identifier: MIT
// The bundled model against the figures of the software that trained it, and every tensor's place.
#include "prytany/family/qwen2_moe_decoder.hpp"

#include <algorithm>

#include "conformance/numbers.hpp"
#include "family/bundled.hpp"
#include "io/memory.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "prytany/layer/any_layer.hpp"
#include "support/catch.hpp"

using namespace prytany;
using bundled::bytes, files::message;
using json = nlohmann::json;

namespace {

using plain = decltype(bundled::model());
plain const& model() {
    static plain const one = bundled::model();
    return one;
}
index_t best(std::span<float const> row) {
    return std::max_element(row.begin(), row.end()) - row.begin();
}

/// Keeps the router logits of every layer; what the decoder's observer sees.
struct recorder {
    std::vector<std::vector<float>> logits = std::vector<std::vector<float>>(6);
    std::vector<step> steps{};
    void routed(index_t layer, routing const& r) {
        auto& to = logits[static_cast<std::size_t>(layer)];
        for (index_t t = 0; t < r.logits.rows; ++t)
            to.insert(to.end(), r.logits.row(t), r.logits.row(t) + r.logits.cols);
    }
    void passed(step s) { steps.push_back(s); }
};

/// Bits per byte by the window rule of the model's README.
double bits_per_byte(plain const& lm, bytes const& text) {
    constexpr index_t window = 256;
    plain::state sequence(lm);
    workspace ws;
    std::vector<float> logits(window * 256);
    double bits = 0;
    index_t counted = 0;
    for (index_t first = 0; first + window <= std::ssize(text); first += window) {
        auto const own = std::span(text).subspan(static_cast<std::size_t>(first), window);
        sequence.rewind(0);
        lm.forward(own, sequence, matrix_view<float>(logits.data(), window, 256), ws, sequential{});
        for (std::size_t t = 0; t + 1 < window; ++t, ++counted) {
            float const* const row = logits.data() + t * 256;
            double const top = static_cast<double>(*std::max_element(row, row + 256));
            double sum = 0;
            for (std::size_t c = 0; c < 256; ++c)
                sum += std::exp(static_cast<double>(row[c]) - top);
            bits -= (static_cast<double>(row[own[t + 1]]) - top - std::log(sum)) / std::log(2.0);
        }
    }
    return bits / static_cast<double>(counted);
}

} // namespace

TEST_CASE("qwen2_moe_decoder: logits, router logits and their order are the reference's") {
    double far = 0;
    for (int i = 0; i < 5; ++i)
        far = std::max(
            far, bundled::worst(bundled::logits(model(), bundled::prompt(i), 1024, sequential{}),
                                bundled::expected("prompt_" + std::to_string(i) + ".logits")));
    CHECK(far <= 2e-4);

    auto const words = bundled::prompt(0);
    auto const wanted = bundled::expected("prompt_0.router_logits");
    plain::state sequence(model());
    workspace ws;
    recorder seen;
    model().forward(words, sequence, {}, ws, sequential{}, seen);
    double routers = 0;
    std::size_t const each = words.size() * 16;
    for (std::size_t l = 0; l < 6; ++l)
        routers = std::max(
            routers, bundled::worst(seen.logits[l], std::span(wanted).subspan(l * each, each)));
    CHECK(routers <= 1e-4);
    WARN("logits off by " << far << " at most, router logits by " << routers);
    REQUIRE(seen.steps.size() == 2 + 3 * 6);
    CHECK(seen.steps.front() == step::embed);
    CHECK(seen.steps.back() == step::head);
    for (std::size_t l = 0; l < 6; ++l) {
        CHECK(seen.steps[3 * l + 1] == step::attention);
        CHECK(seen.steps[3 * l + 2] == step::norm);
        CHECK(seen.steps[3 * l + 3] == step::experts);
    }
}

TEST_CASE("qwen2_moe_decoder: continues as the reference does, byte for byte") {
    thread_pool pool(2);
    auto const reference = bundled::reference();
    for (auto const& p : reference.at("prompts")) {
        auto const latin = p.at("prompt").get<std::string>(),
                   wanted = p.at("greedy").get<std::string>();
        auto const narrow = [](std::string const& utf8) { // latin1 in UTF-8, back to bytes
            bytes all;
            for (std::size_t i = 0; i < utf8.size(); ++i) {
                auto const c = static_cast<unsigned char>(utf8[i]);
                if (c < 0x80) all.push_back(c);
                else all.push_back((c & 3) << 6 | (static_cast<unsigned char>(utf8[++i]) & 0x3f));
            }
            return all;
        };
        auto prompt = narrow(latin);
        plain::state sequence(model());
        workspace ws;
        std::vector<float> row(256);
        bytes made;
        while (made.size() < 64) {
            model().forward(prompt, sequence, matrix_view<float>(row.data(), 1, 256), ws, pool);
            made.push_back(static_cast<std::int32_t>(best(row)));
            prompt = {made.back()};
        }
        CHECK(made == narrow(wanted));
    }
}

TEST_CASE("qwen2_moe_decoder: bits per byte of every validation text") {
    if (files::patience > 1) return; // minutes under a sanitizer; the prompts run the same code
    auto const wanted = bundled::reference().at("bits_per_byte");
    double far = 0;
    for (auto const* const name : {"english", "swahili", "estonian", "python", "sums"}) {
        auto const text = files::read(bundled::folder + "/validation/" + name + ".txt");
        double const right = wanted.at(name).get<double>();
        double const off =
            std::abs(bits_per_byte(model(), bundled::bytes_of(text)) - right) / right;
        INFO(name << ": " << off);
        CHECK(off <= 1e-5);
        far = std::max(far, off);
    }
    WARN("bits per byte off by " << far << " of itself at most");
}

TEST_CASE("qwen2_moe_decoder: a compiled form of the bundled sizes has the same bits") {
    using fixed = moe<shape{128, 64, 16, 1, 128}, top_k{.k = 4}, ffn{swiglu}, shared_gate{}>;
    auto const both =
        bundled::model<dense<float>{}, any_layer<fixed, family::qwen2_moe::layer<>>>();
    for (index_t i = 0; i < both.layers(); ++i) CHECK(both.layer(i).which() == 0);
    thread_pool pool(2);
    auto const words = bundled::prompt(1);
    CHECK(numbers::same_bits(bundled::logits(both, words, 1024, pool),
                             bundled::logits(model(), words, 1024, pool)));
    CHECK(numbers::same_bits(bundled::logits(both, words, 1, pool),
                             bundled::logits(model(), words, 1024, pool)));
}

namespace {

/// A small model of this family with random numbers, in memory.
struct small {
    json values{{"model_type", "qwen2_moe"},
                {"hidden_act", "silu"},
                {"hidden_size", 12},
                {"moe_intermediate_size", 5},
                {"num_experts", 4},
                {"num_experts_per_tok", 2},
                {"num_hidden_layers", 2},
                {"num_attention_heads", 2},
                {"num_key_value_heads", 1},
                {"vocab_size", 11},
                {"max_position_embeddings", 9},
                {"shared_expert_intermediate_size", 3}};
    files::memory source;

    small() {
        auto const put = [&](std::string const& name, std::vector<index_t> const& dims) {
            index_t count = 1;
            for (index_t const n : dims) count *= n;
            source.put(
                name, dims,
                twin::normal(static_cast<std::size_t>(count), std::hash<std::string>{}(name)));
        };
        put("model.embed_tokens.weight", {11, 12});
        put("model.norm.weight", {12});
        put("lm_head.weight", {11, 12});
        for (int l = 0; l < 2; ++l) {
            std::string const own = "model.layers." + std::to_string(l) + ".";
            put(own + "input_layernorm.weight", {12});
            put(own + "post_attention_layernorm.weight", {12});
            for (auto const& [name, rows] : {std::pair{"q", 12}, {"k", 6}, {"v", 6}}) {
                put(own + "self_attn." + name + "_proj.weight", {rows, 12});
                put(own + "self_attn." + name + "_proj.bias", {rows});
            }
            put(own + "self_attn.o_proj.weight", {12, 12});
            put(own + "mlp.gate.weight", {4, 12});
            put(own + "mlp.shared_expert_gate.weight", {1, 12});
            for (int e = -1; e < 4; ++e) {
                index_t const wide = e < 0 ? 3 : 5;
                std::string const at =
                    own + "mlp." +
                    (e < 0 ? std::string("shared_expert") : "experts." + std::to_string(e)) + ".";
                put(at + "gate_proj.weight", {wide, 12});
                put(at + "up_proj.weight", {wide, 12});
                put(at + "down_proj.weight", {12, wide});
            }
        }
    }
    auto load() const {
        return family::qwen2_moe_decoder<>::load(source, family::config(values, "c"));
    }
    std::string said() const {
        return message([&] { (void)load(); });
    }
};

} // namespace

TEST_CASE("qwen2_moe_decoder: every tensor of a checkpoint has its place") {
    small const whole;
    CHECK(whole.said().empty());
    for (auto const& t : whole.source.tensors()) {
        INFO(t.name);
        index_t wrong = 0;
        for (int const n : whole.source.reads(t.name)) wrong += n != 1;
        CHECK(wrong == 0);
        small less = whole;
        less.source.remove(t.name);
        CHECK(less.said().find("missing " + t.name + " for ") != std::string::npos);
        small other = whole;
        auto dims = t.dims;
        ++dims[0];
        other.source.reshape(t.name, dims);
        CHECK(other.said().find("memory: " + t.name + ": expected [") == 0);
    }
    small more = whole;
    more.source.put("model.layers.0.self_attn.o_proj.bias", {12}, twin::row(12));
    CHECK(more.said() == "memory: left over \"model.layers.0.self_attn.o_proj.bias\" F32 [12]");
    more = whole;
    more.source.put("model.layers.2.mlp.gate.weight", {4, 12}, twin::row(48));
    CHECK(more.said() == "memory: left over \"model.layers.2.mlp.gate.weight\" F32 [4, 12]");
}

TEST_CASE("qwen2_moe_decoder: a head that is the embedding, q, k and v without biases") {
    small tied;
    tied.values["tie_word_embeddings"] = true;
    CHECK(tied.said() == "memory: left over \"lm_head.weight\" F32 [11, 12]");
    tied.source.remove("lm_head.weight");
    small same = tied;
    auto const numbers_of = tied.source.bytes("model.embed_tokens.weight");
    same.values["tie_word_embeddings"] = false;
    CHECK(same.said().find("missing lm_head.weight for decoder.head [11, 12]") !=
          std::string::npos);
    same.source.put("lm_head.weight", io::element::f32, {11, 12}, numbers_of);
    bytes const words{0, 10, 3, 3};
    CHECK(numbers::same_bits(bundled::logits(tied.load(), words, 4, sequential{}),
                             bundled::logits(same.load(), words, 4, sequential{})));

    small bare;
    bare.values["qkv_bias"] = false;
    CHECK(bare.said().find("left over \"model.layers.0.self_attn.k_proj.bias\" F32 [6]") !=
          std::string::npos);
    small zero;
    for (int l = 0; l < 2; ++l)
        for (auto const* const name : {"q", "k", "v"}) {
            auto const at =
                "model.layers." + std::to_string(l) + ".self_attn." + name + "_proj.bias";
            bare.source.remove(at);
            for (auto& byte : zero.source.bytes(at)) byte = std::byte{0};
        }
    CHECK(numbers::same_bits(bundled::logits(bare.load(), words, 4, sequential{}),
                             bundled::logits(zero.load(), words, 4, sequential{})));
}

TEST_CASE("qwen2_moe_decoder: RoPE's base has two places, head_dim may be given") {
    bytes const words{0, 10, 3, 3};
    small old, fresh, other;
    old.values["rope_theta"] = 500.0;
    fresh.values["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 500.0}};
    auto const of_old = bundled::logits(old.load(), words, 4, sequential{});
    CHECK(numbers::same_bits(of_old, bundled::logits(fresh.load(), words, 4, sequential{})));
    CHECK(!numbers::same_bits(of_old, bundled::logits(other.load(), words, 4, sequential{})));
    other.values["head_dim"] = 8;
    CHECK(
        other.said().find("model.layers.0.self_attn.q_proj.weight: expected [16, 12], got F32 [12, "
                          "12]") != std::string::npos);
}

TEST_CASE("qwen2_moe_decoder: what it refuses") {
    auto const said = [](json const& changes) {
        small one;
        for (auto const& [key, value] : changes.items()) one.values[key] = value;
        return one.said();
    };
    std::string const layout = ": expected a Mixture of Experts and full attention in every layer, "
                               "got another layout";
    CHECK(said({{"model_type", "qwen3_moe"}}) ==
          "c: model_type: expected qwen2_moe, got \"qwen3_moe\"");
    CHECK(said({{"hidden_act", "relu"}}) == "c: hidden_act: expected silu, got \"relu\"");
    CHECK(said({{"decoder_sparse_step", 2}}) == "c: decoder_sparse_step" + layout);
    CHECK(said({{"mlp_only_layers", json::array({0})}}) == "c: mlp_only_layers" + layout);
    CHECK(said({{"use_sliding_window", true}}) == "c: use_sliding_window" + layout);
    CHECK(said({{"rope_parameters", {{"rope_type", "yarn"}}}}) ==
          "c: rope_parameters: rope_type: expected default, got \"yarn\"");
    CHECK(said({{"rope_scaling", {{"type", "dynamic"}}}}) ==
          "c: rope_scaling: type: expected default, got \"dynamic\"");
    CHECK(said({{"rope_scaling", {{"rope_type", "llama3"}}}}) ==
          "c: rope_scaling: rope_type: expected default, got \"llama3\"");
    CHECK(said({{"rope_scaling", nullptr}}).empty());
    CHECK(said({{"rope_theta", 0}}) ==
          "attention.rope_base: expected a finite number > 0, got 0.000000");
    CHECK(said({{"rms_norm_eps", -1}}).starts_with("attention.epsilon: expected a finite number"));
    CHECK(said({{"num_attention_heads", 0}}) ==
          "c: num_attention_heads: expected at least 1, got 0");
    CHECK(said({{"num_key_value_heads", 3}}) ==
          "attention.kv_heads: expected a divisor of 2 heads, got 3");
    CHECK(said({{"num_attention_heads", 4}}) ==
          "attention.head: expected an even number, for rotation, got 3");
    CHECK(said({{"num_experts_per_tok", 5}}) == "experts per token (k): expected 1 to 4, got 5");
    CHECK(said({{"vocab_size", 0}}) == "decoder.vocabulary: expected 1 to 1073741824, got 0");
    CHECK(said({{"num_hidden_layers", 0}}) == "decoder.layers: expected 1 to 1073741824, got 0");
    CHECK(said({{"max_position_embeddings", std::int64_t{1} << 60}}) ==
          "attention.positions: expected 1 to 1073741824, got 1152921504606846976");
    CHECK(said({{"vocab_size", "11"}}) ==
          "c: vocab_size: expected an integer from 0 on, got \"11\"");
    CHECK(said({{"num_hidden_layers", nullptr}}) ==
          "c: num_hidden_layers: expected an integer from 0 on, got nothing");
}
