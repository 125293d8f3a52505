// SPDX-License-Identifier: MIT
// Finds vectors that a compiler keeps on the stack in the innermost loops of kernels:
// disassembly <what objdump -dC --no-show-raw-insn printed> <least number of such loops> [known.txt]
//
// A loop counts if it multiplies and adds and has no loop inside. In it no instruction may name a
// register of 32 or 64 bytes together with an address on the stack: one that is counted from %rsp,
// or from a register that was made from it. Pointers on the stack are not looked for.
#include <algorithm>
#include <bitset>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <iostream>
#include <limits>
#include <map>
#include <regex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using registers = std::bitset<16>; // which hold an address on the stack
constexpr int none = -1, rsp = 4;

struct instruction {
    std::uint64_t address = 0;
    std::string word, operands;
    std::vector<std::string> parts; // the operands, one by one, the target last
    std::vector<std::size_t> next;  // what may follow, as places in the code
    registers before;
};
struct function {
    std::string name;
    std::vector<instruction> code;
};
using places = std::vector<std::size_t>;

bool begins(std::string_view word, std::initializer_list<std::string_view> beginnings) {
    return std::any_of(beginnings.begin(), beginnings.end(),
                       [&](std::string_view b) { return word.starts_with(b); });
}

std::vector<std::string> split(std::string const& operands) {
    std::vector<std::string> all(1);
    int depth = 0;
    for (char const c : operands.substr(0, operands.find_first_of("#<"))) {
        depth += c == '(' ? 1 : c == ')' ? -1 : 0;
        if (c == ',' && depth == 0) all.emplace_back();
        else if (c != ' ' && c != '\t') all.back() += c;
    }
    return all;
}

std::vector<function> read(std::istream& in) {
    std::vector<function> all;
    std::regex const head(R"(^[0-9a-f]+ <(.+)>:\s*$)");
    std::regex const body(R"(^\s*([0-9a-f]+):\s+(.*\S)\s*$)");
    std::regex const prefix(R"(^(bnd|notrack|lock|rep|repz|repnz|data16|cs)\s+)");
    std::smatch found;
    for (std::string line; std::getline(in, line);) {
        if (std::regex_match(line, found, head)) all.push_back({found[1], {}});
        else if (!all.empty() && std::regex_match(line, found, body)) {
            std::string text = found[2];
            while (std::regex_search(text, prefix)) text = std::regex_replace(text, prefix, "");
            auto const end = std::min(text.find_first_of(" \t"), text.size());
            auto const rest = std::min(text.find_first_not_of(" \t", end), text.size());
            instruction one;
            one.address = std::stoull(found[1], nullptr, 16);
            one.word = text.substr(0, end);
            one.operands = text.substr(rest);
            one.parts = split(one.operands);
            all.back().code.push_back(one);
        }
    }
    return all;
}

// What may follow what: the next instruction, the target of a jump.
void connect(function& f) {
    std::map<std::uint64_t, std::size_t> place;
    for (std::size_t i = 0; i < f.code.size(); ++i) place[f.code[i].address] = i;
    for (std::size_t i = 0; i < f.code.size(); ++i) {
        auto& at = f.code[i];
        if (!begins(at.word, {"jmp", "ret", "ud2", "hlt"}) && i + 1 < f.code.size())
            at.next.push_back(i + 1);
        if (at.word[0] != 'j' || at.operands.empty() ||
            !std::isxdigit(static_cast<unsigned char>(at.operands[0])))
            continue;
        auto const to = place.find(std::strtoull(at.operands.c_str(), nullptr, 16));
        if (to != place.end()) at.next.push_back(to->second);
    }
}

// The number of a general register by any of its names: "rax", "eax", "al" are 0.
int number_of(std::string const& name) {
    static std::map<std::string, int> const all = [] {
        std::map<std::string, int> numbers;
        char const* const letters[] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};
        for (int i = 0; i < 16; ++i) {
            auto const say = [&](std::string const& s) { numbers[s] = i; };
            if (i < 8) {
                std::string const word = letters[i];
                for (auto const* const before : {"", "e", "r"}) say(before + word);
                say(i < 4 ? word.substr(0, 1) + "l" : word + "l");
            } else
                for (auto const* const after : {"", "d", "w", "b"})
                    say("r" + std::to_string(i) + after);
        }
        return numbers;
    }();
    auto const it = all.find(name);
    return it == all.end() ? none : it->second;
}

// The register that an operand is; those that an address in memory is made of.
int direct(std::string const& part) {
    return part.starts_with('%') ? number_of(part.substr(1)) : none;
}
registers address(std::string const& part) {
    static std::regex const form(R"(\((%\w+)?(?:,(%\w+))?(?:,\d)?\))");
    std::smatch found;
    registers of;
    if (!std::regex_search(part, found, form)) return of;
    for (std::size_t i = 1; i <= 2; ++i)
        if (found[i].matched)
            if (int const r = direct(found[i]); r != none) of.set(static_cast<std::size_t>(r));
    return of;
}

// The registers with addresses on the stack after an instruction.
registers after(instruction const& i) {
    registers out = i.before;
    if (begins(i.word, {"call"}))
        out &= ~registers(0b0000'1111'1100'0111); // what a call may change
    if (i.word == "leave") out.reset(5);
    int const to = direct(i.parts.back());
    if (to == none || to == rsp || begins(i.word, {"cmp", "test", "bt", "push", "j", "call"}))
        return out;
    bool const keeps = begins(i.word, {"add", "sub", "and", "or", "cmov", "inc", "dec"});
    bool from = keeps && i.before[static_cast<std::size_t>(to)];
    if (keeps || begins(i.word, {"mov", "lea"}))
        for (std::size_t p = 0; p + 1 < i.parts.size(); ++p) {
            if (begins(i.word, {"lea"})) from |= (address(i.parts[p]) & i.before).any();
            if (int const r = direct(i.parts[p]); r != none)
                from |= i.before[static_cast<std::size_t>(r)];
        }
    out.set(static_cast<std::size_t>(to), from);
    return out;
}

// Follows addresses on the stack along every path.
void trace(function& f) {
    if (f.code.empty()) return;
    for (auto& i : f.code) i.before.set(rsp);
    places todo(f.code.size());
    for (std::size_t i = 0; i < todo.size(); ++i) todo[i] = todo.size() - 1 - i;
    while (!todo.empty()) {
        auto const& at = f.code[todo.back()];
        todo.pop_back();
        registers const out = after(at);
        for (std::size_t const n : at.next)
            if (auto& before = f.code[n].before; (out & ~before).any()) {
                before |= out;
                todo.push_back(n);
            }
    }
}

// Splits some places into those that reach each other (Tarjan); jumps to `barred` do not count.
struct components {
    function const& f;
    std::vector<bool> const& inside;
    std::size_t barred;
    std::vector<std::size_t> number, low;
    std::vector<bool> open;
    places stack;
    std::vector<places> found; // the loops among them

    std::size_t count = 0;

    void visit(std::size_t v) {
        number[v] = low[v] = ++count;
        stack.push_back(v);
        open[v] = true;
        bool itself = false;
        for (std::size_t const n : f.code[v].next) {
            if (!inside[n] || n == barred) continue;
            itself |= n == v;
            if (number[n] == 0) {
                visit(n);
                low[v] = std::min(low[v], low[n]);
            } else if (open[n]) low[v] = std::min(low[v], number[n]);
        }
        if (low[v] != number[v]) return;
        places group;
        do {
            group.push_back(stack.back());
            open[stack.back()] = false;
            stack.pop_back();
        } while (group.back() != v);
        std::sort(group.begin(), group.end());
        if (group.size() > 1 || itself) found.push_back(group);
    }
};
std::vector<places> loops_in(function const& f, places const& some, std::size_t barred) {
    std::vector<bool> inside(f.code.size());
    for (std::size_t const i : some) inside[i] = true;
    components all{f,
                   inside,
                   barred,
                   places(f.code.size()),
                   places(f.code.size()),
                   std::vector<bool>(f.code.size()),
                   {},
                   {}};
    for (std::size_t const i : some)
        if (all.number[i] == 0) all.visit(i);
    return all.found;
}

// The loops without a loop inside: what is left of one without the jumps to its entry is none.
void innermost(function const& f, places const& some, std::size_t barred,
               std::vector<places>& result) {
    for (auto const& loop : loops_in(f, some, barred)) {
        std::vector<bool> inside(f.code.size());
        for (std::size_t const i : loop) inside[i] = true;
        std::size_t entry = f.code.size(); // the first place that is reached from outside
        for (std::size_t i = 0; i < f.code.size(); ++i)
            for (std::size_t const n : f.code[i].next)
                if (!inside[i] && inside[n]) entry = std::min(entry, n);
        if (entry == f.code.size()) entry = loop.front();
        std::size_t const before = result.size();
        innermost(f, loop, entry, result);
        if (result.size() == before) result.push_back(loop);
    }
}

bool multiplies_and_adds(function const& f, places const& loop) {
    return std::any_of(loop.begin(), loop.end(), [&](std::size_t i) {
        return begins(f.code[i].word,
                      {"vfmadd", "vfmsub", "vfnmadd", "vfnmsub", "vpmaddwd", "vpmaddubsw", "vpdp"});
    });
}
bool vector_on_stack(instruction const& i) {
    return (i.operands.find("%ymm") != std::string::npos ||
            i.operands.find("%zmm") != std::string::npos) &&
           std::any_of(i.parts.begin(), i.parts.end(),
                       [&](auto const& part) { return (address(part) & i.before).any(); });
}

// The functions that may keep a vector on the stack: words in their names, one a line, # a remark.
std::vector<std::string> words_in(char const* path) {
    std::ifstream file(path);
    std::vector<std::string> all;
    for (std::string line; std::getline(file, line);) {
        line.erase(std::min(line.find('#'), line.size()));
        line.erase(line.find_last_not_of(' ') + 1);
        if (!line.empty()) all.push_back(line);
    }
    return all;
}
bool is_known(std::string const& name, std::vector<std::string> const& known) {
    static std::regex const spaces(R"(prytany::v0_\w+?::)");
    auto const plain = std::regex_replace(name, spaces, "");
    return std::any_of(known.begin(), known.end(),
                       [&](auto const& words) { return plain.find(words) != std::string::npos; });
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3 && argc != 4) {
        std::cerr << "disassembly <listing> <least number of loops> [known.txt]\n";
        return 2;
    }
    std::ifstream file(argv[1]);
    if (!file) {
        std::cerr << argv[1] << ": cannot be read\n";
        return 2;
    }
    auto const known = argc == 4 ? words_in(argv[3]) : std::vector<std::string>{};
    auto all = read(file);
    std::size_t loops = 0, spills = 0;
    for (auto& f : all) {
        connect(f);
        trace(f);
        places everything(f.code.size());
        for (std::size_t i = 0; i < everything.size(); ++i) everything[i] = i;
        std::vector<places> inner;
        innermost(f, everything, std::numeric_limits<std::size_t>::max(), inner);
        bool named = false;
        for (auto const& loop : inner) {
            if (!multiplies_and_adds(f, loop)) continue;
            ++loops;
            for (std::size_t const i : loop) {
                auto const& at = f.code[i];
                if (!vector_on_stack(at)) continue;
                bool const allowed = is_known(f.name, known);
                if (!std::exchange(named, true))
                    std::cout << (allowed ? "known: " : "") << f.name << '\n';
                if (!allowed) ++spills;
                std::cout << "    " << std::hex << at.address << std::dec << ": " << at.word << ' '
                          << at.operands << "   (in a loop of " << loop.size()
                          << " instructions)\n";
            }
        }
    }
    std::cout << all.size() << " functions, " << loops << " innermost loops that multiply and add, "
              << spills << " instructions with a vector on the stack\n";
    if (auto const least = std::strtoull(argv[2], nullptr, 10); loops < least) {
        std::cout << "expected at least " << least << " such loops\n";
        return 2;
    }
    return spills == 0 ? 0 : 1;
}
