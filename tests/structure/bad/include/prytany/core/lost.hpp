// No licence, unknown and forbidden includes, and this line, which is a good deal longer than a hundred columns.
#pragma once

#include <functional>
#include <iostream>

#include <nlohmann/json.hpp>

#include "prytany/core/nowhere.hpp"
