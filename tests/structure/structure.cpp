// SPDX-License-Identifier: MIT
// Holds the tree of headers to the rules of docs/architecture.md: structure <root of the repository>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace fs = std::filesystem;

namespace {

using names = std::set<std::string>;

// A header includes its own folder and strictly lower floors.
std::map<std::string, int> const floors{
    {"core", 0},    {"simd", 1},     {"format", 1},  {"exec", 1}, {"kernel", 2},   {"router", 3},
    {"expert", 3},  {"layer", 4},    {"grad", 5},    {"io", 5},   {"analysis", 5}, {"family", 6},
    {"offload", 6}, {"compress", 6}, {"upcycle", 6}, {"mpi", 6}};

// Who may include what is not ours. The folder "" is include/prytany itself.
std::map<std::string, names> const only_in{
    {"xsimd", {"simd"}},
    {"Eigen", {"", "grad", "analysis", "compress", "upcycle"}},
    {"nlohmann", {"io", "family"}},
    {"mpi", {"mpi"}},
    {"omp", {"exec"}},
    {"tbb", {"exec"}},
    {"thread", {"exec", "offload"}},
    {"fstream", {"io", "offload"}},
    {"iostream", {}},
    {"regex", {}}};
std::set<std::pair<std::string, std::string>> const excepted{{"expert/constraint.hpp", "Eigen"}};
names const from_floor_5{"ranges", "functional"}; // they are slow to compile

constexpr std::size_t most_columns = 100, most_depth = 13, most_reach = 70;
constexpr double median_reach = 12, median_lines = 150;
constexpr std::size_t p90_lines = 300, most_lines = 500;

struct header {
    std::string folder;                // the first folder below include/prytany, "" for none
    std::vector<std::string> lines;    // as they stand
    std::vector<std::string> code;     // without comments
    std::vector<std::string> includes; // every one, as written
    names own;                         // those that are ours
    bool leaf = false;                 // in a folder and not private: it has a test of its own
};

std::map<std::string, header> headers; // by path below include/prytany
std::vector<std::string> breaks;

void report(std::string_view rule, std::string const& where, std::string const& what) {
    breaks.push_back(std::string(rule) + ": " + where + ": " + what);
}

std::string content(fs::path const& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> split(std::string const& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

// The text without comments and without what stands in quotes; line ends stay.
std::string without_comments(std::string const& text) {
    std::string code;
    enum { plain, line_comment, block_comment, quoted } in = plain;
    char quote = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char const c = text[i], next = i + 1 < text.size() ? text[i + 1] : '\0';
        bool const digit_mark =
            c == '\'' && i > 0 && std::isalnum(static_cast<unsigned char>(text[i - 1]));
        if (in == plain && c == '/' && next == '/') in = line_comment;
        else if (in == plain && c == '/' && next == '*') in = block_comment;
        else if (in == plain && (c == '"' || c == '\'') && !digit_mark)
            in = quoted, quote = c, code += c;
        else if (in == quoted && c == '\\') ++i;
        else if (in == quoted && c == quote) in = plain, code += c;
        else if (in == block_comment && c == '*' && next == '/') in = plain, ++i, code += ' ';
        else if (c == '\n') {
            if (in == line_comment || in == quoted) in = plain;
            code += c;
        } else if (in == plain) code += c;
    }
    return code;
}

// What one line of code includes. The name stands in the line with its quotes.
std::optional<std::string> included(std::string const& line) {
    static std::regex const form(R"re(^\s*#\s*include\s*[<"]([^>"]+)[>"])re");
    std::smatch found;
    if (std::regex_search(line, found, form)) return found[1];
    return {};
}

int floor_of(std::string const& folder) {
    auto const it = floors.find(folder);
    return it == floors.end() ? 9 : it->second;
}

std::size_t columns(
    std::string const& line) { // of UTF-8: bytes that continue a character do not count
    return static_cast<std::size_t>(std::count_if(line.begin(), line.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
}

void read(fs::path const& root) {
    fs::path const base = root / "include" / "prytany";
    for (auto const& entry : fs::recursive_directory_iterator(base)) {
        if (!entry.is_regular_file() || entry.path().extension() != ".hpp") continue;
        std::string const name = entry.path().lexically_relative(base).generic_string();
        std::string const text = content(entry.path());
        header h;
        auto const slash = name.find('/');
        if (slash != std::string::npos) h.folder = name.substr(0, slash);
        h.lines = split(text);
        h.code = split(without_comments(text));
        h.leaf = !h.folder.empty() && name.find("/detail/") == std::string::npos;
        headers[name] = h;
    }
    for (auto& [name, h] : headers)
        for (auto const& line : h.lines)
            if (auto const other = included(line)) {
                h.includes.push_back(*other);
                if (other->starts_with("prytany/") && headers.contains(other->substr(8)))
                    h.own.insert(other->substr(8));
            }
}

void check_includes() {
    for (auto const& [name, h] : headers)
        for (auto const& other : h.includes) {
            bool const ours = other.starts_with("prytany/");
            if (ours && !headers.contains(other.substr(8)))
                report("missing", name, "includes " + other);
            if (ours && headers.contains(other.substr(8))) {
                std::string const& folder = headers[other.substr(8)].folder;
                if (!h.folder.empty() && !folder.empty() && folder != h.folder &&
                    floor_of(folder) >= floor_of(h.folder))
                    report("floor", name, "includes " + other);
                if (h.folder == "layer" && (folder == "router" || folder == "expert") &&
                    !other.ends_with("/concept.hpp"))
                    report("open-set", name, "includes " + other + ", not the concept");
            }
            if (from_floor_5.contains(other) && !h.folder.empty() && floor_of(h.folder) < 5)
                report("slow", name, "includes <" + other + "> below floor 5");
            std::string const third = other.substr(0, other.find_first_of("/."));
            auto const allowed = only_in.find(third);
            if (!ours && allowed != only_in.end() && !allowed->second.contains(h.folder) &&
                !excepted.contains({name, third}))
                report("third-party", name, "includes " + other);
        }
}

names reach(std::string const& name) {
    names seen;
    std::vector<std::string> todo{name};
    while (!todo.empty()) {
        std::string const at = todo.back();
        todo.pop_back();
        for (auto const& other : headers[at].own)
            if (seen.insert(other).second) todo.push_back(other);
    }
    return seen;
}

std::size_t depth(std::string const& name, names& on_the_way,
                  std::map<std::string, std::size_t>& known) {
    if (auto const it = known.find(name); it != known.end()) return it->second;
    std::size_t below = 0;
    on_the_way.insert(name);
    for (auto const& other : headers[name].own)
        if (!on_the_way.contains(other)) below = std::max(below, depth(other, on_the_way, known));
    on_the_way.erase(name);
    return known[name] = below + 1;
}

double median(std::vector<std::size_t> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    std::size_t const half = values.size() / 2;
    return values.size() % 2 ? double(values[half]) : double(values[half - 1] + values[half]) / 2;
}

std::string text(double value) {
    std::ostringstream out;
    out << value;
    return out.str();
}

void check_graph() {
    std::map<std::string, std::size_t> depths;
    std::vector<std::size_t> reaches, lengths;
    for (auto const& [name, h] : headers) {
        names const all = reach(name);
        if (all.contains(name)) report("cycle", name, "reaches itself");
        bool const named = std::any_of(h.code.begin(), h.code.end(), [](auto const& line) {
            return line.find("inline PRYTANY_ABI") != std::string::npos;
        });
        if (named && name != "core/config.hpp" && !all.contains("core/config.hpp"))
            report("namespace", name, "PRYTANY_ABI is a plain word without core/config.hpp");
        names on_the_way;
        if (auto const deep = depth(name, on_the_way, depths); deep > most_depth)
            report("depth", name, "is " + std::to_string(deep) + " includes deep");
        if (h.leaf) reaches.push_back(all.size());
        if (h.leaf && all.size() > most_reach)
            report("reach", name, "reaches " + std::to_string(all.size()) + " headers");
        lengths.push_back(h.lines.size());
        if (h.lines.size() > most_lines)
            report("length", name, "has " + std::to_string(h.lines.size()) + " lines");
    }
    if (lengths.empty()) return report("tree", "include/prytany", "holds no header");
    std::sort(lengths.begin(), lengths.end());
    std::size_t const p90 = lengths[(lengths.size() - 1) * 9 / 10];
    if (median(reaches) > median_reach)
        report("median-reach", "all headers", text(median(reaches)) + " headers");
    if (median(lengths) > median_lines)
        report("median-length", "all headers", text(median(lengths)) + " lines");
    if (p90 > p90_lines) report("p90-length", "all headers", std::to_string(p90) + " lines");
    std::cout << headers.size() << " headers, lines: median " << median(lengths) << ", p90 " << p90
              << ", max " << lengths.back() << "; reach: median " << median(reaches) << '\n';
}

void check_text() {
    std::regex const define(R"(^\s*#\s*define\s+(\w+))"), concept_form(R"(\bconcept\s+(\w+)\s*=)");
    for (auto const& [name, h] : headers) {
        if (h.lines.empty() || h.lines[0] != "// SPDX-License-Identifier: MIT")
            report("licence", name, "does not begin with its SPDX line");
        for (std::size_t i = 0; i < h.lines.size(); ++i)
            if (columns(h.lines[i]) > most_columns)
                report("columns", name, "line " + std::to_string(i + 1));
        bool explains = false;
        std::smatch found;
        for (auto const& line : h.code) explains |= line.find("unsatisfied<") != std::string::npos;
        for (auto const& line : h.code) {
            if (name != "core/config.hpp" && std::regex_search(line, found, define))
                report("macro", name, "defines " + found[1].str());
            if (!explains && std::regex_search(line, found, concept_form))
                report("silent-concept", name, found[1].str() + " says nothing when it fails");
        }
    }
}

void check_tests(fs::path const& root) {
    for (auto const& [name, h] : headers) {
        std::string const test = name.substr(0, name.size() - 4) + ".test.cpp";
        if (h.leaf && !fs::exists(root / "tests" / test))
            report("test", name, "has no tests/" + test);
    }
}

void check_manifest(fs::path const& root) {
    std::regex const form(R"(include/prytany/([\w./]+\.hpp))");
    std::string const manifest = content(root / "cmake" / "headers.cmake");
    names listed;
    int last = 0;
    for (std::sregex_iterator it(manifest.begin(), manifest.end(), form), end; it != end; ++it) {
        std::string const name = (*it)[1];
        if (!listed.insert(name).second) report("manifest", name, "is listed twice");
        auto const known = headers.find(name);
        if (known == headers.end()) {
            report("manifest", name, "is listed and does not exist");
            continue;
        }
        int const floor = floor_of(known->second.folder);
        if (floor < last) report("manifest", name, "stands above a higher floor");
        last = floor;
    }
    for (auto const& [name, h] : headers)
        if (!listed.contains(name))
            report("manifest", name, "is not listed; run cmake -P cmake/update_headers.cmake");
}

} // namespace

int main(int count, char* words[]) {
    fs::path const root = count > 1 ? words[1] : ".";
    read(root);
    check_includes();
    check_graph();
    check_text();
    check_tests(root);
    check_manifest(root);
    for (auto const& line : breaks) std::cout << line << '\n';
    std::cout << breaks.size() << " breaks\n";
    return breaks.empty() ? 0 : 1;
}
