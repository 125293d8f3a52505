// SPDX-License-Identifier: MIT
// One layer out of every layout, each element read once, and every fault named in one sentence.
#include "prytany/io/load.hpp"

#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "conformance/numbers.hpp"
#include "io/files.hpp"
#include "io/memory.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/format/dense.hpp"
#include "prytany/io/safetensors.hpp"
#include "prytany/io/safetensors_writer.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/layer/option/shared.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/scored.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using files::message;
using dims = std::vector<index_t>;

namespace {

constexpr index_t d = 10, h = 6, e_count = 3, s = 4;
constexpr shape sizes{.model = d, .hidden = h, .experts = e_count, .shared = 1, .shared_hidden = s};
using shared_layer = moe<shape{.shared = 1}, top_k{}, ffn{swiglu}, shared_gate{}>;
using plain_layer = moe<shape{}, top_k{}, ffn{swiglu}>;
using oss_layer =
    moe<shape{}, scored{linear{.biases = true}, top_k{}}, ffn{swiglu_clamped, biases}>;

/// Every number of a layer by name.
template <class Layer>
std::map<std::string, twin::row> held(Layer const& layer) {
    std::map<std::string, twin::row> all;
    layer.for_each_tensor([&](auto const& t) { all[t.name.text()] = numbers::stored(t).all; });
    return all;
}
std::string name_of(index_t e, char const* matrix) {
    return "m.experts." + std::to_string(e) + "." + matrix + "_proj.weight";
}

/// The numbers of all layouts, and the layouts as hub files have them.
struct numbers_of {
    std::map<std::string, twin::row> all;

    numbers_of() {
        std::uint64_t seed = 0;
        auto const make = [&](std::string const& name, index_t count) {
            all[name] = twin::normal(static_cast<std::size_t>(count), ++seed);
        };
        make("router.weight", e_count * d);
        for (index_t e = 0; e < e_count; ++e)
            for (auto const* const role : {"gate", "up", "down"})
                make("expert." + std::to_string(e) + "." + role, d * h);
        for (auto const* const role : {"gate", "up", "down"})
            make("shared." + std::string(role), d * s);
        make("shared.weight", d);
    }
    twin::row const& expert(index_t e, char const* role) const {
        return all.at("expert." + std::to_string(e) + "." + role);
    }
    files::memory shared_alone() const {
        files::memory f;
        f.put("m.gate.weight", {e_count, d}, all.at("router.weight"));
        f.put("m.shared_expert.gate_proj.weight", {s, d}, all.at("shared.gate"));
        f.put("m.shared_expert.up_proj.weight", {s, d}, all.at("shared.up"));
        f.put("m.shared_expert.down_proj.weight", {d, s}, all.at("shared.down"));
        f.put("m.shared_expert_gate.weight", {1, d}, all.at("shared.weight"));
        f.put("n.gate.weight", {1}, twin::row{1}); // another layer's
        return f;
    }
    files::memory per_expert() const {
        auto f = shared_alone();
        for (index_t e = 0; e < e_count; ++e) {
            f.put(name_of(e, "gate"), {h, d}, expert(e, "gate"));
            f.put(name_of(e, "up"), {h, d}, expert(e, "up"));
            f.put(name_of(e, "down"), {d, h}, expert(e, "down"));
        }
        return f;
    }
    files::memory stacked() const {
        auto f = shared_alone();
        twin::row both, down;
        for (index_t e = 0; e < e_count; ++e) {
            for (auto const* const role : {"gate", "up"})
                both.insert(both.end(), expert(e, role).begin(), expert(e, role).end());
            down.insert(down.end(), expert(e, "down").begin(), expert(e, "down").end());
        }
        f.put("m.experts.gate_up_proj", {e_count, 2 * h, d}, both);
        f.put("m.experts.down_proj", {e_count, d, h}, down);
        return f;
    }
};

/// Checks that loading reads each element of m.* so often, and nothing of other prefixes.
void check_reads(files::memory const& file, int most = 1) {
    for (auto const& t : file.tensors()) {
        INFO(t.name);
        bool const ours = t.name.starts_with("m.");
        index_t wrong = 0;
        for (int const n : file.reads(t.name)) wrong += ours ? n < 1 || n > most : n != 0;
        CHECK(wrong == 0);
    }
}
shared_layer fresh() { return shared_layer(sizes, {.router = {.k = 2}}); }
/// What loading a changed file says; "" where it is content.
std::string said(files::memory const& file) {
    auto layer = fresh();
    return message([&] { io::load(layer, file, io::qwen_moe("m.")); });
}

} // namespace

TEST_CASE("load: one layer's numbers out of both layouts, each element read once") {
    numbers_of const right;
    for (auto const& file : {right.per_expert(), right.stacked()}) {
        auto layer = fresh();
        io::load(layer, file, io::qwen_moe("m."));
        CHECK(held(layer) == right.all);
        check_reads(file);
    }
    // a vector may have one dimension or a first one of 1
    auto flat = right.per_expert();
    flat.reshape("m.shared_expert_gate.weight", {d});
    auto layer = fresh();
    io::load(layer, flat, io::qwen_moe("m."));
    CHECK(held(layer) == right.all);
}

TEST_CASE("load: numbers of any type are taken for what they are") {
    numbers_of const right;
    auto file = right.per_expert();
    twin::row const& first = right.expert(1, "up");
    std::vector<std::byte> bytes(first.size() * 8), half(first.size() * 2);
    std::memcpy(bytes.data(), first.data(), bytes.size());
    file.remove(name_of(1, "up"));
    file.put(name_of(1, "up"), io::element::f64, {h, d}, bytes);
    file.remove(name_of(2, "up"));
    io::from_floats(io::element::bf16, twin::floats(first), half);
    file.put(name_of(2, "up"), io::element::bf16, {h, d}, half);
    auto layer = fresh();
    io::load(layer, file, io::qwen_moe("m."));
    auto wanted = right.all;
    auto& rounded = wanted.at("expert.2.up");
    for (std::size_t i = 0; i < first.size(); ++i)
        rounded[i] = static_cast<double>(static_cast<float>(bf16(static_cast<float>(first[i]))));
    CHECK(held(layer) == wanted);
}

TEST_CASE("load: every tensor removed, renamed or of other sizes is named") { // X04, X05, X06, X08
    numbers_of const right;
    for (bool const stacked : {false, true}) {
        auto const whole = stacked ? right.stacked() : right.per_expert();
        for (auto const& t : whole.tensors()) {
            if (!t.name.starts_with("m.")) continue;
            INFO(t.name);
            // without experts.gate_up_proj a file is taken for one of the other layout
            std::string const missing =
                t.name == "m.experts.gate_up_proj" ? "missing " + name_of(0, "gate")
                : t.name == "m.experts.down_proj"  ? "missing " + name_of(0, "down")
                                                   : "missing " + t.name;
            auto file = whole;
            file.remove(t.name);
            auto text = said(file);
            CHECK(text.starts_with("memory: "));
            CHECK(text.find(missing + " for ") != text.npos);
            CHECK(text.find("left over") == text.npos);

            file = whole;
            file.rename(t.name, t.name + "x");
            text = said(file);
            CHECK(text.find(missing + " for ") != text.npos);
            CHECK(text.find("left over \"" + t.name + "x\" " + t.text()) != text.npos);

            for (std::size_t i = 0; i < t.dims.size(); ++i)
                for (index_t const by : {-1, 1}) {
                    if (t.dims[i] == 1 && by == -1) continue;
                    auto other = t.dims;
                    other[i] += by;
                    file = whole;
                    file.reshape(t.name, other);
                    text = said(file);
                    INFO(file.find(t.name)->text() << ": " << text);
                    CHECK(text.starts_with("memory: " + t.name + ": expected "));
                    // the first of the experts above what is there, or one too many unread
                    bool const more = t.dims.size() == 3 && i == 0 && by == 1;
                    CHECK(text.find(more ? ", read " : file.find(t.name)->text()) != text.npos);
                    CHECK(text.find("left over") == text.npos);
                }
        }
    }
}

TEST_CASE("load: the sentences themselves") {
    numbers_of const right;
    auto file = right.per_expert();
    SECTION("an expert is missing") { // X04
        file.remove(name_of(2, "up"));
        CHECK(said(file) == "memory: missing m.experts.2.up_proj.weight for expert.2.up [6, 10]");
    }
    SECTION("an expert too many") { // X04
        file.put(name_of(3, "up"), {h, d}, right.expert(1, "up"));
        CHECK(said(file) == "memory: left over \"m.experts.3.up_proj.weight\" F32 [6, 10]");
    }
    SECTION("experts count from 1") { // X04
        for (auto const* const m : {"gate", "up", "down"})
            file.rename(name_of(0, m), name_of(3, m));
        auto const text = said(file);
        for (auto const* const m : {"gate", "up", "down"}) {
            CHECK(text.find("missing " + name_of(0, m)) != text.npos);
            CHECK(text.find("left over \"" + name_of(3, m)) != text.npos);
        }
    }
    SECTION("a router of another number of experts") { // X05
        file.reshape("m.gate.weight", {e_count + 1, d});
        CHECK(said(file) == "memory: m.gate.weight: expected [3, 10], got F32 [4, 10]");
    }
    SECTION("one expert of another width") { // X06
        file.reshape(name_of(1, "gate"), {h + 2, d});
        CHECK(said(file) ==
              "memory: m.experts.1.gate_proj.weight: expected [6, 10], got F32 [8, 10]");
    }
    SECTION("one expert of a type that is no number") { // X06
        file.remove(name_of(1, "gate"));
        file.put(name_of(1, "gate"), io::element::f8_e4m3, {h, d},
                 std::vector<std::byte>(static_cast<std::size_t>(h * d)));
        CHECK(said(file).find("F8_E4M3") != std::string::npos);
    }
    SECTION("turned matrices") { // X08
        file.reshape(name_of(0, "down"), {h, d});
        CHECK(said(file) ==
              "memory: m.experts.0.down_proj.weight: expected [10, 6], got F32 [6, 10]");
    }
    SECTION("a vector that is a matrix") {
        file.reshape("m.shared_expert_gate.weight", {d, 1});
        CHECK(said(file) == "memory: m.shared_expert_gate.weight: expected [10], got F32 [10, 1]");
    }
    SECTION("a file of another model") {
        files::memory other;
        other.put("model.norm.weight", {d}, twin::row(d));
        auto const text = said(other);
        CHECK(text.starts_with("memory: missing m.gate.weight for router.weight [3, 10]; "));
        CHECK(text.ends_with("; and 6 more")); // of 14 matrices
    }
    SECTION("names of a file steer no terminal") {
        file.put("m.\x1b[2J", {1}, twin::row{0});
        CHECK(said(file) == "memory: left over \"m.\\x1b[2J\" F32 [1]");
    }
}

TEST_CASE("load: the other layout, half of it, and both at once") { // X07
    numbers_of const right;
    auto const one = right.per_expert(), all = right.stacked();
    auto both = one;
    for (auto const& name : {"m.experts.gate_up_proj", "m.experts.down_proj"}) {
        std::vector<std::byte> bytes = files::memory(all).bytes(name);
        both.put(name, io::element::f32, all.find(name)->dims, bytes);
    }
    auto text = said(both);
    for (auto const* const m : {"gate", "up", "down"})
        CHECK(text.find("left over \"" + name_of(1, m)) != text.npos);

    // names that know one layout only, and a file of the other
    auto const only_stacked = [](auto const&, tensor_name const& what, index_t rows) -> io::place {
        if (what.part != "expert") return {"m.other"};
        if (what.role == "down") return {"m.experts.down_proj", what.expert};
        return {"m.experts.gate_up_proj", what.expert, what.role == "up" ? rows : 0};
    };
    auto layer = fresh();
    io::loader reader(one);
    layer.for_each_tensor(
        [&](auto const& t) { reader.take(t, only_stacked(one, t.name, t.rows)); });
    text = message([&] { reader.finish("m.experts."); });
    CHECK(text.find("missing m.experts.gate_up_proj for expert.0.gate [6, 10]") != text.npos);

    io::loader other(all);
    layer.for_each_tensor(
        [&](auto const& t) { other.take(t, io::qwen_moe("m.")(one, t.name, t.rows)); });
    text = message([&] { other.finish("m.experts."); });
    CHECK(text.find("missing m.experts.0.gate_proj.weight for expert.0.gate") != text.npos);
}

TEST_CASE("load: names that read something twice, or only a part, are found out") {
    numbers_of const right;
    auto const file = right.stacked(), one = right.per_expert();
    using rule = std::function<void(io::place&, tensor_name const&)>;
    auto const through = [&](files::memory const& from, rule const& change) {
        auto layer = fresh();
        io::loader reader(from);
        layer.for_each_tensor([&](auto const& t) {
            auto at = io::qwen_moe("m.")(from, t.name, t.rows);
            change(at, t.name);
            reader.take(t, at);
        });
        return message([&] { reader.finish("m."); });
    };
    CHECK(through(file, [](auto&, auto&) {}).empty());
    // the number of elements is right, the elements are not
    CHECK(through(file, [](io::place& at, tensor_name const& what) {
              if (what.role == "up" && what.part == "expert") at.first = 0;
          }) == "memory: m.experts.gate_up_proj: expected to read each row once, read row 0 twice");
    CHECK(through(file, [](io::place& at, tensor_name const& what) {
              if (what.role == "down" && what.expert == 2) at.block = 1;
          }) == "memory: m.experts.down_proj: expected to read each row once, read row 10 twice");
    CHECK(through(one,
                  [](io::place& at, tensor_name const& what) {
                      if (what.role == "up" && what.expert == 2) at.name = name_of(2, "gate");
                  }) ==
          "memory: m.experts.2.gate_proj.weight: expected to read each row once, read row 0 "
          "twice; left over \"m.experts.2.up_proj.weight\" F32 [6, 10]");
    // a matrix that a second one shares is not counted
    auto layer = fresh();
    io::loader reader(one);
    layer.for_each_tensor([&](auto const& t) {
        auto const at = io::qwen_moe("m.")(one, t.name, t.rows);
        reader.take(t, at);
        reader.share(t, at);
    });
    reader.finish("m.");
    CHECK(held(layer) == right.all);
}

TEST_CASE("load: a matrix as wide as high is read as its place says") { // X08, not detectable
    plain_layer layer({.model = 4, .hidden = 4, .experts = 1}, {.router = {.k = 1}});
    files::memory file;
    twin::row const m = twin::normal(16, 1);
    file.put("m.gate.weight", {1, 4}, twin::row(4));
    for (auto const* const role : {"gate", "up", "down"}) file.put(name_of(0, role), {4, 4}, m);
    io::load(layer, file, io::qwen_moe("m."));
    CHECK(held(layer).at("expert.0.up") == m);
    io::loader reader(file);
    layer.for_each_tensor([&](auto const& t) {
        auto at = io::qwen_moe("m.")(file, t.name, t.rows);
        at.transposed = t.name.part == "expert";
        reader.take(t, at);
    });
    reader.finish("m.");
    auto const turned = held(layer).at("expert.0.up");
    for (std::size_t r = 0; r < 4; ++r)
        for (std::size_t c = 0; c < 4; ++c) CHECK(turned[r * 4 + c] == m[c * 4 + r]);
}

// ---- gpt-oss: turned, interleaved, in four bits ------------------------------------------------------

namespace {

constexpr index_t od = 64, oh = 32, oe = 2;
constexpr double values[16] = {0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6};

/// Two files of the same layer: floats and codes.
struct oss_files {
    files::memory floats, codes;
    std::map<std::string, twin::row> all;

    oss_files() {
        for (auto* const f : {&floats, &codes}) {
            f->put("m.router.weight", {oe, od}, twin::normal(oe * od, 1));
            f->put("m.router.bias", {oe}, twin::normal(oe, 2));
            f->put("m.experts.gate_up_proj_bias", {oe, 2 * oh}, twin::normal(oe * 2 * oh, 3));
            f->put("m.experts.down_proj_bias", {oe, od}, twin::normal(oe * od, 4));
        }
        all["router.weight"] = twin::normal(oe * od, 1);
        all["router.bias"] = twin::normal(oe, 2);
        auto const up_bias = twin::normal(oe * 2 * oh, 3), down_bias = twin::normal(oe * od, 4);
        for (index_t e = 0; e < oe; ++e) {
            std::string const own = "expert." + std::to_string(e) + ".";
            for (index_t r = 0; r < 2 * oh; ++r)
                all[own + (r % 2 == 0 ? "gate_bias" : "up_bias")].push_back(
                    up_bias[numbers::at(e * 2 * oh + r)]);
            all[own + "down_bias"] = {down_bias.begin() + e * od, down_bias.begin() + (e + 1) * od};
        }
        put("gate_up_proj", 2 * oh, od, 5);
        put("down_proj", od, oh, 6);
    }

private:
    void put(std::string const& name, index_t rows, index_t cols, std::uint64_t seed) {
        files::dice roll(seed);
        std::vector<std::byte> code, scale;
        twin::row turned(numbers::at(oe * rows * cols));
        for (index_t e = 0; e < oe; ++e)
            for (index_t r = 0; r < rows; ++r)
                for (index_t b = 0; b < cols / 32; ++b) {
                    int const power = static_cast<int>(roll(8)) + 120;
                    scale.push_back(std::byte(power));
                    for (index_t i = 0; i < 32; ++i) {
                        auto const nibble = static_cast<unsigned>(roll(16));
                        if (i % 2 == 0) code.push_back(std::byte(nibble));
                        else code.back() |= std::byte(nibble << 4);
                        double const x = std::ldexp(values[nibble], power - 127);
                        turned[numbers::at((e * cols + b * 32 + i) * rows + r)] = x;
                        bool const two = name != "down_proj";
                        std::string const role = !two ? "down" : r % 2 == 0 ? "gate" : "up";
                        all["expert." + std::to_string(e) + "." + role].push_back(x);
                    }
                }
        codes.put("m.experts." + name + "_blocks", io::element::u8, {oe, rows, cols / 32, 16},
                  code);
        codes.put("m.experts." + name + "_scales", io::element::u8, {oe, rows, cols / 32}, scale);
        floats.put("m.experts." + name, {oe, cols, rows}, turned);
    }
};
oss_layer fresh_oss() {
    return oss_layer({.model = od, .hidden = oh, .experts = oe}, {.router = {.router = {.k = 1}}});
}
std::string said_oss(files::memory const& file) {
    auto layer = fresh_oss();
    return message([&] { io::load(layer, file, io::gpt_oss{"m."}); });
}

} // namespace

TEST_CASE("load: gpt-oss has the same numbers out of floats and out of codes") {
    oss_files const right;
    for (auto const* const file : {&right.floats, &right.codes}) {
        auto layer = fresh_oss();
        io::load(layer, *file, io::gpt_oss{"m."});
        CHECK(held(layer) == right.all);
        check_reads(*file, file == &right.codes ? 1 : 2); // gate and up read a turned block each
    }
}

TEST_CASE("load: faults of gpt-oss files") { // X06, X07, X08, X09
    oss_files const right;
    for (auto const* const whole : {&right.floats, &right.codes})
        for (auto const& t : whole->tensors()) {
            INFO(t.name);
            auto file = *whole;
            file.remove(t.name);
            auto text = said_oss(file);
            // a file without codes is taken for one of floats
            auto const blocks = t.name.find("_blocks");
            CHECK(text.find("missing " + t.name.substr(0, blocks)) != text.npos);
            if (blocks != t.name.npos)
                CHECK(text.find("left over \"" + t.name.substr(0, blocks) + "_scales\" U8") !=
                      text.npos);
            for (std::size_t i = 0; i < t.dims.size(); ++i)
                for (index_t const by : {-1, 1}) {
                    if (t.dims[i] == 1 && by == -1) continue;
                    auto other = t.dims;
                    other[i] += by;
                    file = *whole;
                    file.reshape(t.name, other);
                    text = said_oss(file);
                    INFO(file.find(t.name)->text() << ": " << text);
                    CHECK(text.starts_with("memory: " + t.name + ": expected "));
                    CHECK(text.find("left over") == text.npos);
                }
        }
    auto file = right.floats;
    file.reshape("m.experts.down_proj", {oe, od, oh});
    CHECK(said_oss(file) == "memory: m.experts.down_proj: expected [64, 32] transposed in block 0, "
                            "got F32 [2, 64, 32]");
    file = right.codes;
    file.reshape("m.experts.gate_up_proj_scales", {oe, 2 * oh, 3});
    CHECK(said_oss(file) == "memory: m.experts.gate_up_proj_scales: expected U8 [experts, 64, 2], "
                            "got U8 [2, 64, 3]");
    file = right.codes;
    file.remove("m.experts.down_proj_scales");
    CHECK(said_oss(file).find("missing m.experts.down_proj_scales for expert.0.down") !=
          std::string::npos);
    file = right.codes; // codes that are not bytes
    auto const bytes = file.bytes("m.experts.down_proj_blocks");
    auto const sizes_of = file.find("m.experts.down_proj_blocks")->dims;
    file.remove("m.experts.down_proj_blocks");
    file.put("m.experts.down_proj_blocks", io::element::i8, sizes_of, bytes);
    CHECK(said_oss(file).find("got I8 [2, 64, 1, 16]") != std::string::npos);
    file = right.codes; // a scale that says NaN: one block of one row
    file.bytes("m.experts.down_proj_scales")[3] = std::byte{255};
    auto layer = fresh_oss();
    io::load(layer, file, io::gpt_oss{"m."});
    index_t bad = 0;
    auto const all = held(layer);
    for (double const x : all.at("expert.0.down")) bad += std::isnan(x);
    CHECK(bad == 32);
}

TEST_CASE("load: inputs that no block of 32 divides have no four-bit codes") {
    oss_layer layer({.model = 48, .hidden = oh, .experts = oe}, {.router = {.router = {.k = 1}}});
    auto const text = message([&] { io::load(layer, oss_files().codes, io::gpt_oss{"m."}); });
    CHECK(text.find("m.experts.gate_up_proj_blocks: expected U8 [experts, 64, 1, 16], 32 inputs a "
                    "block, got U8 [2, 64, 2, 16]") != text.npos);
}

TEST_CASE("load: a cut file is refused when it is opened, a name twice too") {
    files::folder const room;
    numbers_of const right;
    auto const whole = right.per_expert();
    auto const path = room.at("whole.safetensors");
    io::safetensors_writer sink{path};
    for (auto const& t : whole.tensors()) sink.declare(t.name, t.type, t.dims);
    for (auto const& t : whole.tensors())
        sink.write_bytes(t.name, files::memory(whole).bytes(t.name));
    sink.commit();
    auto layer = fresh();
    io::load(layer, io::safetensors{path}, io::qwen_moe("m."));
    CHECK(held(layer) == right.all);

    std::string const bytes = files::read(path);
    for (std::size_t const left :
         {bytes.size() - 1, bytes.size() / 2, std::size_t{9}, std::size_t{0}}) {
        auto const cut = room.write("cut.safetensors", bytes.substr(0, left));
        auto const text =
            message([&] { io::load(layer, io::safetensors{cut}, io::qwen_moe("m.")); });
        INFO(left << ": " << text);
        CHECK(text.find("cut.safetensors") != text.npos);
        CHECK(text.find("expected") != text.npos);
    }
    auto const one = files::tensor("m.gate.weight", "F32", "[1]", "[0,4]");
    auto const twice = room.write(
        "twice.safetensors",
        files::with("{" + one + "," + files::tensor("m.gate.weight", "F32", "[1]", "[4,8]") + "}",
                    files::zeros(8)));
    CHECK(message([&] { io::safetensors{twice}; }).find("m.gate.weight") != std::string::npos);
}
