// expect: a weight format needs packed<F>: resize, pack, unpack, rows, cols, bytes
#include <prytany/format/concept.hpp>

using namespace prytany;

struct hollow {
    using aspect = format_aspect;
    static constexpr std::string_view name() { return "nothing"; }
};

#if !defined(PRYTANY_MUST_FAIL)
template <hollow Format>
class prytany::packed<Format> {
public:
    void resize(index_t, index_t) {}
    void pack(index_t, std::span<float const>) {}
    void unpack(index_t, std::span<float>) const {}
    index_t rows() const { return 0; }
    index_t cols() const { return 0; }
    index_t bytes() const { return 0; }
};
#endif

static_assert(weight_format<hollow>);
