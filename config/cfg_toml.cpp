/* The fence around toml++ 3.3 (TOML 1.0.0), header-only and without exceptions: the Debian library
 * is built with them, and a parser that returns its errors needs no second world of control flow.
 * toml++ keeps tables as sorted maps; the tree is sorted back into the order of the text. */
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "config/cfg_toml.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

namespace {

/* ---- places: toml++ counts characters, we count bytes ---- */

struct places {
    std::string_view text;
    std::vector<df_place *> all;

    void to_bytes();
};

bool before(const df_place &a, const df_place &b)
{
    return a.line != b.line ? a.line < b.line : a.column < b.column;
}

/* One walk over the text, forwards: the places are taken in ascending order. */
void places::to_bytes()
{
    size_t at = 0;
    df_place here = { 1, 1 }; /* column in characters */
    uint32_t bytes = 1;

    std::sort(all.begin(), all.end(), [](df_place *a, df_place *b) { return before(*a, *b); });
    for (df_place *place : all) {
        while (at < text.size() && before(here, *place)) {
            unsigned char c = (unsigned char)text[at++];
            if (c == '\n') {
                here = { here.line + 1, 1 };
                bytes = 1;
                continue;
            }
            bytes++;
            while (at < text.size() && ((unsigned char)text[at] & 0xc0) == 0x80) {
                at++;
                bytes++;
            }
            here.column++;
        }
        if (here.line == place->line && here.column == place->column)
            place->column = bytes;
    }
}

df_place place_of(const toml::source_position &position)
{
    return { (uint32_t)position.line, (uint32_t)position.column };
}

/* ---- the tree ---- */

struct builder {
    df_arena *arena;
    places where;
    cfg_fault *fault;
    df_status status = DF_OK;

    const char *copy(std::string_view text, const df_place &place);
    void leaf(cfg_node *node, const toml::node &from);
    void fill(cfg_node *node, const toml::node &from);
    void children(cfg_node *node, std::vector<cfg_node *> &list);
};

const char *builder::copy(std::string_view text, const df_place &place)
{
    char *out = (char *)df_arena_alloc(arena, text.size() + 1);

    if (out == nullptr) {
        status = DF_ENOMEM;
        return "";
    }
    if (text.find('\0') != text.npos && status == DF_OK) {
        status = DF_EINVAL;
        fault->place = place;
        snprintf(fault->text, sizeof fault->text, "a text must not hold the character U+0000");
    }
    memcpy(out, text.data(), text.size());
    return out;
}

void builder::leaf(cfg_node *node, const toml::node &from)
{
    if (const auto *text = from.as_string()) {
        const auto &region = from.source();
        node->type = CFG_TEXT;
        node->text = copy(text->get(), node->place);
        /* Two quotes and the characters themselves: then nothing was escaped. A byte of the text
         * that is no character of its own starts with bits 10. */
        size_t characters = 0;
        for (unsigned char c : text->get())
            characters += (c & 0xc0) != 0x80;
        node->plain = region.begin.line == region.end.line &&
                      region.end.column - region.begin.column == characters + 2;
    } else if (const auto *whole = from.as_integer()) {
        node->type = CFG_WHOLE;
        node->whole = whole->get();
    } else if (const auto *real = from.as_floating_point()) {
        node->type = CFG_REAL;
        node->real = real->get();
    } else if (const auto *boolean = from.as_boolean()) {
        node->type = CFG_BOOL;
        node->boolean = boolean->get();
    } else {
        node->type = CFG_DATE;
    }
}

void builder::children(cfg_node *node, std::vector<cfg_node *> &list)
{
    std::stable_sort(list.begin(), list.end(), [](const cfg_node *a, const cfg_node *b) {
        return before(a->key_place, b->key_place);
    });
    cfg_node **link = &node->first;
    for (cfg_node *child : list) {
        *link = child;
        link = &child->next;
        node->count++;
    }
}

void builder::fill(cfg_node *node, const toml::node &from)
{
    std::vector<cfg_node *> list;
    auto add = [&](const toml::node &value, const toml::key *key) {
        cfg_node *child = (cfg_node *)df_arena_alloc(arena, sizeof *child);
        if (child == nullptr) {
            status = DF_ENOMEM;
            return;
        }
        child->place = place_of(value.source().begin);
        child->key_place = child->place;
        if (key != nullptr) {
            child->key_place = place_of(key->source().begin);
            child->key = copy(key->str(), child->key_place);
            where.all.push_back(&child->key_place);
        }
        where.all.push_back(&child->place);
        list.push_back(child);
        fill(child, value);
        if (key == nullptr)
            child->key_place = child->place;
    };

    if (const auto *table = from.as_table()) {
        node->type = CFG_TABLE;
        for (const auto &[key, value] : *table)
            add(value, &key);
    } else if (const auto *array = from.as_array()) {
        node->type = CFG_LIST;
        for (const auto &value : *array)
            add(value, nullptr);
    } else {
        leaf(node, from);
        return;
    }
    children(node, list);
}

/* In a list the order is the parser's; what has no key is placed by its value. */
void copy_places(cfg_node *node)
{
    for (cfg_node *child = node->first; child != nullptr; child = child->next) {
        if (child->key == nullptr)
            child->key_place = child->place;
        copy_places(child);
    }
}

/* ---- errors ---- */

size_t line_begin(std::string_view text, uint32_t line)
{
    size_t begin = 0;

    for (uint32_t i = 1; i < line; i++)
        begin = text.find('\n', begin) + 1;
    return begin;
}

/* toml++ places a repeated key at its "=", and a number that is too large behind it; a person
 * looks for where they begin. */
void place_at_begin(std::string_view text, df_place &place, bool of_key)
{
    size_t begin = line_begin(text, place.line);
    size_t at = std::min(begin + place.column - 1, text.size());
    auto inside = [of_key](char c) {
        return of_key ? c != ',' && c != '{' : isalnum((unsigned char)c) || strchr("_+-.", c);
    };

    while (at > begin && inside(text[at - 1]))
        at--;
    while (of_key && at < text.size() && (text[at] == ' ' || text[at] == '\t'))
        at++;
    place.column = (uint32_t)(at - begin) + 1;
}

void fill_fault(cfg_fault *fault, std::string_view text, const toml::parse_error &error)
{
    static const std::string_view prefix = "Error while parsing ";
    std::string_view words = error.description();
    places where = { text, { &fault->place } };
    auto says = [&](const char *what) { return words.find(what) != words.npos; };

    fault->place = place_of(error.source().begin);
    where.to_bytes();
    if (words.substr(0, prefix.size()) == prefix)
        words.remove_prefix(prefix.size());
    if (says("redefine"))
        place_at_begin(text, fault->place, true);
    if (says("representable"))
        place_at_begin(text, fault->place, false);
    snprintf(fault->text, sizeof fault->text, "not valid TOML: %.*s%s", (int)words.size(),
             words.data(), says("value type") ? " (a text or an expression goes in quotes)" : "");
}

} // namespace

df_status cfg_toml_parse(cfg_node **root, df_arena *arena, const char *text, size_t size,
                         cfg_fault *fault)
{
    static const std::string_view mark = "\xef\xbb\xbf"; /* UTF-8's byte order mark is no text */
    std::string_view view(text, size);

    *root = nullptr;
    if (view.substr(0, mark.size()) == mark)
        view.remove_prefix(mark.size());
    df_status status = cfg_scan(view.data(), view.size(), fault);
    if (status != DF_OK)
        return status;
    toml::parse_result result = toml::parse(view);
    if (!result) {
        fill_fault(fault, view, result.error());
        return DF_EINVAL;
    }
    builder build = { arena, { view, {} }, fault };
    cfg_node *node = (cfg_node *)df_arena_alloc(arena, sizeof *node);
    if (node == nullptr)
        return DF_ENOMEM;
    node->place = node->key_place = { 1, 1 };
    build.fill(node, result.table());
    build.where.to_bytes();
    copy_places(node);
    if (build.status == DF_OK)
        *root = node;
    return build.status;
}
