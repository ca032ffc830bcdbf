// Stands in for libFuzzer in the ordinary build: an input of the corpus as it is, each once, then changed ones until the time is
// over. Random bytes alone reach little, so a corpus is needed. Finds less than libFuzzer, because it doesn't see what an input
// reaches, but needs no other compiler's runtime.
//
// usage: replay SECONDS FOUND FILE... — FOUND keeps the input that is being tried, and so that of a crash or a hang.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <print>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

namespace {

using Bytes = std::vector<unsigned char>;

void try_one(const Bytes &input, const char *found) {
    constexpr unsigned patience_s = 60;
    std::ofstream(found, std::ios::binary)
        .write(reinterpret_cast<const char *>(input.data()), static_cast<std::streamsize>(input.size()));
    ::alarm(patience_s);  // its signal ends us
    (void)LLVMFuzzerTestOneInput(input.data(), input.size());
    ::alarm(0);
}

// A few bytes are others, or a part is left out, or stands twice, or is another input's.
Bytes changed(Bytes input, const Bytes &other, std::mt19937 &random) {
    const auto place = [&](size_t size) { return static_cast<std::ptrdiff_t>(random() % (size + 1)); };
    for (unsigned changes = 1 + random() % 6; changes > 0; --changes) {
        const auto begin = place(input.size());
        const auto end = begin + static_cast<std::ptrdiff_t>(random() % (input.size() - static_cast<size_t>(begin) + 1));
        switch (random() % 5) {
        case 0:
            if (!input.empty()) input[random() % input.size()] = static_cast<unsigned char>(random());
            break;
        case 1: input.erase(input.begin() + begin, input.begin() + end); break;
        case 2: {
            const Bytes part(input.begin() + begin, input.begin() + end);
            input.insert(input.begin() + begin, part.begin(), part.end());
            break;
        }
        case 3: {
            Bytes some(1 + random() % 16);
            for (unsigned char &byte : some) byte = static_cast<unsigned char>(random());
            input.insert(input.begin() + begin, some.begin(), some.end());
            break;
        }
        default: input.insert(input.begin() + begin, other.begin(), other.begin() + place(other.size())); break;
        }
        constexpr size_t most_bytes = 1 << 16;
        if (input.size() > most_bytes) input.resize(most_bytes);
    }
    return input;
}

}  // namespace

int main(int argc, char **argv) {
    if (argc < 4) {
        std::println(stderr, "usage: {} SECONDS FOUND FILE...: no corpus", argv[0]);
        return 2;
    }
    std::vector<Bytes> corpus;
    for (int i = 3; i < argc; ++i) {
        std::ifstream file(argv[i], std::ios::binary);
        corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    for (const Bytes &input : corpus) try_one(input, argv[2]);
    corpus.emplace_back();
    std::mt19937 random(std::random_device{}());
    size_t tried = corpus.size();
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(argv[1]));
    for (; std::chrono::steady_clock::now() < end; ++tried)
        try_one(changed(corpus[random() % corpus.size()], corpus[random() % corpus.size()], random), argv[2]);
    std::println("{}: {} inputs, {} of the corpus", argv[0], tried, corpus.size() - 1);
    return ::unlink(argv[2]);
}
