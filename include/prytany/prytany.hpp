// SPDX-License-Identifier: MIT
// The umbrella of floors 0 to 4: everything needed to write and run a layer.
#pragma once

#include "prytany/exec/sequential.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/format/dense.hpp"
#include "prytany/format/int4_blocks.hpp"
#include "prytany/format/int8_blocks.hpp"
#include "prytany/format/int8_rows.hpp"
#include "prytany/format/mxfp4.hpp"
#include "prytany/format/ternary.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/scored.hpp"
#include "prytany/router/top_k.hpp"
