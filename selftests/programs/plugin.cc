// SPDX-License-Identifier: GPL-2.0-only
/* A library that containers.cc opens and closes: it allocates as it comes, and frees as it goes. */
#include <map>
#include <string>

namespace {
struct Registry {
	std::map<int, std::string> names;

	Registry()
	{
		for (int i = 0; i < 1000; i++)
			names[i] = std::string(static_cast<size_t>(i % 90), 'p');
	}
} registry;
}

/* The caller deletes it, maybe when this library is no more. */
extern "C" char *plugin_text(int number)
{
	const std::string &name = registry.names[number];
	char *text = new char[name.size() + 1];

	name.copy(text, name.size());
	text[name.size()] = '\0';
	return text;
}
