// expect: an expert needs static void apply(work, kit, scratch, rows) noexcept
#include <prytany/expert/concept.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
constexpr bool quiet = false;
#else
constexpr bool quiet = true;
#endif

struct idle {
    struct params {};
    template <auto Format>
    struct weights {};
    template <class Weights, class Visit>
    void tensors(Weights&, shape const&, Visit&&) const {}
    struct scratch {
        void lay_out(arena&, shape const&, index_t) {}
    };
    template <auto My, auto Format, shape Fixed>
    static void apply(work const&, expert_kit<My, Format, Fixed>, scratch&,
                      matrix_view<float>) noexcept(quiet) {}
};

static_assert(expert_kind<idle>);
