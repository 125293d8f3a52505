// expect: an expert needs a nested params struct: its run-time numbers, all defaulted
#include <prytany/expert/concept.hpp>

using namespace prytany;

struct idle {
#if defined(PRYTANY_MUST_FAIL)
    struct numbers {};
#else
    struct params {};
#endif
    template <auto Format>
    struct weights {};
    template <class Weights, class Visit>
    void tensors(Weights&, shape const&, Visit&&) const {}
    struct scratch {
        void lay_out(arena&, shape const&, index_t) {}
    };
    template <auto My, auto Format, shape Fixed>
    static void apply(work const&, expert_kit<My, Format, Fixed>, scratch&,
                      matrix_view<float>) noexcept {}
};

static_assert(expert_kind<idle>);
