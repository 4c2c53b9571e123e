/* SPDX-License-Identifier: Apache-2.0 */
/* head_rows: requests that have one reading, and requests that could be taken for two.
 *
 * For test_http_head, and for test_http_head_guard, where libmicrohttpd reads them too.
 */
#ifndef SPN_TEST_HEAD_ROWS_H
#define SPN_TEST_HEAD_ROWS_H

#include "http/head.h"

#define HEAD_SMUGGLED "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
#define HEAD_GET "GET /a HTTP/1.1\r\nHost: h\r\n"
#define HEAD_POST "POST /a HTTP/1.1\r\nHost: h\r\n"
#define HEAD_CHUNKED HEAD_POST "Transfer-Encoding: chunked\r\n\r\n"
#define HEAD_BYTES(text) text, sizeof(text) - 1

/* The same numbers in every run. */
static inline size_t head_random(size_t below)
{
    static uint32_t state = 2463534242u;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return below > 1 ? state % below : 0;
}

struct head_good_row {
    const char *name;
    const char *bytes;
    size_t size;
    unsigned requests;
    const char *bodies; /* of all of them together */
};

static const struct head_good_row head_good_rows[] = {
    {"get", HEAD_BYTES(HEAD_GET "\r\n"), 1, ""},
    {"http 1.0 without host", HEAD_BYTES("GET /a HTTP/1.0\r\n\r\n"), 1, ""},
    {"http 1.0 with host", HEAD_BYTES("GET /a HTTP/1.0\r\nHost: h\r\n\r\n"), 1, ""},
    {"empty line before it", HEAD_BYTES("\r\n" HEAD_GET "\r\n"), 1, ""},
    {"no space after the colon", HEAD_BYTES("GET /a HTTP/1.1\r\nHost:h\r\n\r\n"), 1, ""},
    {"empty value", HEAD_BYTES(HEAD_GET "X:\r\nY: \t\r\n\r\n"), 1, ""},
    {"tab and high bytes in a value", HEAD_BYTES(HEAD_GET "X: a\tb\xC3\xA4\xFF \r\n\r\n"), 1, ""},
    {"names that only begin alike",
     HEAD_BYTES(HEAD_GET "Hos: 1\r\nHosts: 2\r\nContent-Length-X: 3\r\nXContent-Length: 4\r\n\r\n"),
     1, ""},
    {"high bytes in the target", HEAD_BYTES("GET /\xC3\xA4 HTTP/1.1\r\nHost: h\r\n\r\n"), 1, ""},
    {"length", HEAD_BYTES(HEAD_POST "Content-Length: 5\r\n\r\nhello"), 1, "hello"},
    {"length in other case", HEAD_BYTES(HEAD_POST "cONTENT-lENGTH:\t5\r\n\r\nhello"), 1, "hello"},
    {"length with zeros before", HEAD_BYTES(HEAD_POST "Content-Length: 0005\r\n\r\nhello"), 1,
     "hello"},
    {"length 0", HEAD_BYTES(HEAD_POST "Content-Length: 0\r\n\r\n" HEAD_GET "\r\n"), 2, ""},
    {"get with a body", HEAD_BYTES(HEAD_GET "Content-Length: 2\r\n\r\nab" HEAD_GET "\r\n"), 2,
     "ab"},
    {"body like a request",
     HEAD_BYTES(HEAD_POST "Content-Length: 19\r\n\r\nGET /b HTTP/1.1\r\n\r\n" HEAD_GET "\r\n"), 2,
     "GET /b HTTP/1.1\r\n\r\n"},
    {"body with NUL, CR and LF", HEAD_BYTES(HEAD_POST "Content-Length: 4\r\n\r\n\n\rx\r"), 1,
     "\n\rx\r"},
    {"bytes after the end of a body are a request",
     HEAD_BYTES(HEAD_POST "Content-Length: 2\r\n\r\nab" HEAD_POST "Content-Length: 1\r\n\r\nc"), 2,
     "abc"},
    {"empty line after a body",
     HEAD_BYTES(HEAD_POST "Content-Length: 2\r\n\r\nab\r\n" HEAD_GET "\r\n"), 2, "ab"},
    {"no chunk", HEAD_BYTES(HEAD_CHUNKED "0\r\n\r\n"), 1, ""},
    {"chunks", HEAD_BYTES(HEAD_CHUNKED "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"), 1, "hello!"},
    {"size in both cases",
     HEAD_BYTES(HEAD_CHUNKED "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"), 1,
     "01234567890123456789"},
    {"size with zeros before", HEAD_BYTES(HEAD_CHUNKED "0001\r\na\r\n000\r\n\r\n"), 1, "a"},
    {"chunk with CR and LF", HEAD_BYTES(HEAD_CHUNKED "3\r\n\r\n0\r\n0\r\n\r\n"), 1, "\r\n0"},
    {"extension", HEAD_BYTES(HEAD_CHUNKED "1;a=b;c=\"d\"\r\na\r\n0;e\r\n\r\n"), 1, "a"},
    {"trailers", HEAD_BYTES(HEAD_CHUNKED "1\r\na\r\n0\r\nX: 1\r\nY: 2\r\n\r\n" HEAD_GET "\r\n"), 2,
     "a"},
    {"pipelined", HEAD_BYTES(HEAD_GET "\r\n" HEAD_CHUNKED "1\r\na\r\n0\r\n\r\n" HEAD_GET "\r\n"), 3,
     "a"},
};

struct head_bad_row {
    const char *name;
    const char *bytes; /* of one request; HEAD_SMUGGLED follows */
    size_t size;
    size_t passed; /* bytes of these that libmicrohttpd may get */
    enum head_fault fault;
};

/* A fault in the head: all of it is passed on. */
#define HEAD_ALL(text) text, sizeof(text) - 1, sizeof(text) - 1
#define HEAD_WITH(line) HEAD_ALL(HEAD_GET line "\r\n\r\n")

/* A fault in the body: what comes before is passed on. */
#define HEAD_WRONG(good, bad)                                                                      \
    HEAD_CHUNKED good bad, sizeof(HEAD_CHUNKED good bad) - 1, sizeof(HEAD_CHUNKED good) - 1

static const struct head_bad_row head_bad_rows[] = {
    /* lines */
    {"bare CR in a value", HEAD_WITH("X: a\rb"), HEAD_BARE_CR},
    {"bare CR before a name", HEAD_WITH("X: a\rContent-Length: 9"), HEAD_BARE_CR},
    {"two CR at the end of a line", HEAD_WITH("X: a\r"), HEAD_BARE_CR},
    {"bare CR at the end of the head", HEAD_ALL(HEAD_GET "\rX: a\r\n\r\n"), HEAD_BARE_CR},
    {"bare CR in the request line", HEAD_ALL("GET /a HTTP/1.1\rHost: h\r\n\r\n"), HEAD_BARE_CR},
    {"bare LF in the request line", HEAD_ALL("GET /a HTTP/1.1\nHost: h\r\n\r\n"), HEAD_BARE_LF},
    {"bare LF after a value", HEAD_WITH("X: a\nY: b"), HEAD_BARE_LF},
    {"bare LF in a name", HEAD_WITH("X\nY: b"), HEAD_BARE_LF},
    {"bare LF after the colon", HEAD_WITH("X:\nY: b"), HEAD_BARE_LF},
    {"bare LF as the end of the head", HEAD_ALL(HEAD_GET "\n"), HEAD_BARE_LF},
    {"only bare LF", HEAD_ALL("GET /a HTTP/1.1\nHost: h\n\n"), HEAD_BARE_LF},
    {"head with two ends", HEAD_ALL(HEAD_GET "X: a\n\n"), HEAD_BARE_LF},
    {"empty line of a bare LF before", HEAD_ALL("\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n"),
     HEAD_BARE_LF},
    {"empty line of a bare CR before", HEAD_ALL("\rGET /a HTTP/1.1\r\nHost: h\r\n\r\n"),
     HEAD_BARE_CR},
    {"two empty lines before", HEAD_ALL("\r\n\r\n" HEAD_GET "\r\n"), HEAD_REQUEST_LINE},
    {"NUL in a value", HEAD_WITH("X: a\0b"), HEAD_NUL},
    {"NUL in a name", HEAD_WITH("X\0Y: b"), HEAD_NUL},
    {"NUL in the target", HEAD_ALL("GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n"), HEAD_NUL},
    {"NUL in the method", HEAD_ALL("GE\0T /a HTTP/1.1\r\nHost: h\r\n\r\n"), HEAD_NUL},
    {"NUL at the beginning", HEAD_ALL("\0GET /a HTTP/1.1\r\nHost: h\r\n\r\n"), HEAD_NUL},
    {"NUL after a length", HEAD_WITH("Content-Length: 0\0"), HEAD_NUL},
    {"control character in a value", HEAD_WITH("X: \x01"), HEAD_CONTROL},
    {"DEL in a value", HEAD_WITH("X: \x7F"), HEAD_CONTROL},
    {"control character in the target", HEAD_ALL("GET /\x1F HTTP/1.1\r\nHost: h\r\n\r\n"),
     HEAD_CONTROL},
    /* request lines */
    {"no method", HEAD_ALL(" /a HTTP/1.1\r\nHost: h\r\n\r\n"), HEAD_REQUEST_LINE},
    {"method that is no token", HEAD_ALL("G(T /a HTTP/1.1\r\nHost: h\r\n\r\n"), HEAD_REQUEST_LINE},
    {"two spaces before the target", HEAD_ALL("GET  /a HTTP/1.1\r\nHost: h\r\n\r\n"),
     HEAD_REQUEST_LINE},
    {"tab before the target", HEAD_ALL("GET\t/a HTTP/1.1\r\nHost: h\r\n\r\n"), HEAD_REQUEST_LINE},
    {"space in the target", HEAD_ALL("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"), HEAD_VERSION},
    {"no version", HEAD_ALL("GET /a\r\nHost: h\r\n\r\n"), HEAD_REQUEST_LINE},
    {"space after the version", HEAD_ALL("GET /a HTTP/1.1 \r\nHost: h\r\n\r\n"), HEAD_VERSION},
    {"version 0.9", HEAD_ALL("GET /a HTTP/0.9\r\nHost: h\r\n\r\n"), HEAD_VERSION},
    {"version 1.2", HEAD_ALL("GET /a HTTP/1.2\r\nHost: h\r\n\r\n"), HEAD_VERSION},
    {"version 1.10", HEAD_ALL("GET /a HTTP/1.10\r\nHost: h\r\n\r\n"), HEAD_VERSION},
    {"version in lower case", HEAD_ALL("GET /a http/1.1\r\nHost: h\r\n\r\n"), HEAD_VERSION},
    {"preface of http 2", HEAD_ALL("PRI * HTTP/2.0\r\n\r\n"), HEAD_VERSION},
    /* names */
    {"obs-fold", HEAD_WITH("X: a\r\n b"), HEAD_FOLD},
    {"obs-fold with a tab", HEAD_WITH("X: a\r\n\tb"), HEAD_FOLD},
    {"space before the first header", HEAD_ALL("GET /a HTTP/1.1\r\n Host: h\r\n\r\n"), HEAD_FOLD},
    {"space before the colon", HEAD_WITH("Content-Length : 5"), HEAD_NAME},
    {"tab before the colon", HEAD_WITH("Content-Length\t: 5"), HEAD_NAME},
    {"space in a name", HEAD_WITH("X Y: 5"), HEAD_NAME},
    {"no colon", HEAD_WITH("X"), HEAD_NAME},
    {"no name", HEAD_WITH(": 5"), HEAD_NAME},
    {"name that is no token", HEAD_WITH("X(Y): 5"), HEAD_NAME},
    {"high byte in a name", HEAD_WITH("X\xFF: 5"), HEAD_NAME},
    /* hosts */
    {"two hosts", HEAD_WITH("Host: i"), HEAD_TWO_HOSTS},
    {"two equal hosts", HEAD_WITH("hOST:h"), HEAD_TWO_HOSTS},
    {"no host", HEAD_ALL("GET /a HTTP/1.1\r\nX: h\r\n\r\n"), HEAD_NO_HOST},
    {"no header at all", HEAD_ALL("GET /a HTTP/1.1\r\n\r\n"), HEAD_NO_HOST},
    /* lengths */
    {"two lengths", HEAD_WITH("Content-Length: 5\r\nContent-Length: 6"), HEAD_TWO_LENGTHS},
    {"two equal lengths", HEAD_WITH("Content-Length: 5\r\ncontent-length: 5"), HEAD_TWO_LENGTHS},
    {"list of lengths", HEAD_WITH("Content-Length: 5, 5"), HEAD_LENGTH},
    {"length with a plus", HEAD_WITH("Content-Length: +5"), HEAD_LENGTH},
    {"length with a minus", HEAD_WITH("Content-Length: -5"), HEAD_LENGTH},
    {"length with a space after it", HEAD_WITH("Content-Length: 5 "), HEAD_LENGTH},
    {"length with a space in it", HEAD_WITH("Content-Length: 5 6"), HEAD_LENGTH},
    {"hexadecimal length", HEAD_WITH("Content-Length: 0x5"), HEAD_LENGTH},
    {"empty length", HEAD_WITH("Content-Length:"), HEAD_LENGTH},
    {"blank length", HEAD_WITH("Content-Length: "), HEAD_LENGTH},
    {"length 2^63", HEAD_WITH("Content-Length: 9223372036854775808"), HEAD_LENGTH},
    {"length 2^64 + 5", HEAD_WITH("Content-Length: 18446744073709551621"), HEAD_LENGTH},
    {"length with a fraction", HEAD_WITH("Content-Length: 5.0"), HEAD_LENGTH},
    {"folded length", HEAD_WITH("Content-Length: 5\r\n 6"), HEAD_FOLD},
    /* codings */
    {"length, then coding", HEAD_WITH("Content-Length: 5\r\nTransfer-Encoding: chunked"),
     HEAD_TWO_FRAMINGS},
    {"coding, then length", HEAD_WITH("Transfer-Encoding: chunked\r\nContent-Length: 5"),
     HEAD_TWO_FRAMINGS},
    {"coding and length 0", HEAD_WITH("Transfer-Encoding: chunked\r\nContent-Length: 0"),
     HEAD_TWO_FRAMINGS},
    {"gzip, chunked", HEAD_WITH("Transfer-Encoding: gzip, chunked"), HEAD_CODING},
    {"chunked, chunked", HEAD_WITH("Transfer-Encoding: chunked, chunked"), HEAD_CODING},
    {"chunked, gzip", HEAD_WITH("Transfer-Encoding: chunked, gzip"), HEAD_CODING},
    {"identity", HEAD_WITH("Transfer-Encoding: identity"), HEAD_CODING},
    {"chunked in another case", HEAD_WITH("Transfer-Encoding: Chunked"), HEAD_CODING},
    {"chunked with a space after it", HEAD_WITH("Transfer-Encoding: chunked "), HEAD_CODING},
    {"chunked with a comma", HEAD_WITH("Transfer-Encoding: chunked,"), HEAD_CODING},
    {"chunked with a parameter", HEAD_WITH("Transfer-Encoding: chunked;a"), HEAD_CODING},
    {"chunked in quotes", HEAD_WITH("Transfer-Encoding: \"chunked\""), HEAD_CODING},
    {"chunked after a vertical tab",
     HEAD_WITH("Transfer-Encoding: \x0B"
               "chunked"),
     HEAD_CONTROL},
    {"part of chunked", HEAD_WITH("Transfer-Encoding: chunk"), HEAD_CODING},
    {"more than chunked", HEAD_WITH("Transfer-Encoding: chunkedx"), HEAD_CODING},
    {"empty coding", HEAD_WITH("Transfer-Encoding:"), HEAD_CODING},
    {"two codings", HEAD_WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
     HEAD_TWO_CODINGS},
    {"space before the colon of a coding", HEAD_WITH("Transfer-Encoding : chunked"), HEAD_NAME},
    {"coding in http 1.0",
     HEAD_ALL("POST /a HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"),
     HEAD_OLD_CODING},
    /* chunks */
    {"size that is no number", HEAD_WRONG("", "g\r\n"), HEAD_CHUNK_SIZE},
    {"empty size", HEAD_WRONG("", "\r\na"), HEAD_CHUNK_SIZE},
    {"size with 0x", HEAD_WRONG("0", "x1\r\na\r\n0\r\n\r\n"), HEAD_CHUNK_SIZE},
    {"size with a plus", HEAD_WRONG("", "+1\r\na\r\n0\r\n\r\n"), HEAD_CHUNK_SIZE},
    {"size with a minus", HEAD_WRONG("", "-1\r\na\r\n0\r\n\r\n"), HEAD_CHUNK_SIZE},
    {"space before a size", HEAD_WRONG("", " 1\r\na\r\n0\r\n\r\n"), HEAD_CHUNK_SIZE},
    {"space after a size", HEAD_WRONG("1", " \r\na\r\n0\r\n\r\n"), HEAD_CHUNK_SIZE},
    {"size 2^63", HEAD_WRONG("800000000000000", "0\r\n"), HEAD_CHUNK_SIZE},
    {"size of 17 digits", HEAD_WRONG("0000000000000000", "1\r\na\r\n0\r\n\r\n"), HEAD_CHUNK_SIZE},
    {"bare LF after a size", HEAD_WRONG("1", "\na\r\n0\r\n\r\n"), HEAD_BARE_LF},
    {"bare CR after a size", HEAD_WRONG("1\r", "a\r\n0\r\n\r\n"), HEAD_BARE_CR},
    {"bare LF after an extension", HEAD_WRONG("1;x", "\na\r\n0\r\n\r\n"), HEAD_BARE_LF},
    {"NUL in an extension", HEAD_WRONG("1;x", "\0\r\na\r\n0\r\n\r\n"), HEAD_NUL},
    {"data without CR LF", HEAD_WRONG("1\r\na", "0\r\n\r\n"), HEAD_CHUNK_END},
    {"data longer than their size", HEAD_WRONG("1\r\na", "b\r\n0\r\n\r\n"), HEAD_CHUNK_END},
    {"bare LF after data", HEAD_WRONG("1\r\na", "\n0\r\n\r\n"), HEAD_CHUNK_END},
    {"bare CR after data", HEAD_WRONG("1\r\na\r", "0\r\n\r\n"), HEAD_CHUNK_END},
    {"bare LF after the last size", HEAD_WRONG("0", "\n\r\n"), HEAD_BARE_LF},
    {"bare LF at the end of a body", HEAD_WRONG("0\r\n", "\n"), HEAD_BARE_LF},
    {"bare CR at the end of a body", HEAD_WRONG("0\r\n\r", "\r\n"), HEAD_BARE_CR},
    {"request after the last size", HEAD_WRONG("0\r\nGET", " /b HTTP/1.1\r\n\r\n"), HEAD_NAME},
    {"length as a trailer", HEAD_WRONG("0\r\nContent-Length", ": 5\r\n\r\n"), HEAD_TRAILER},
    {"coding as a trailer", HEAD_WRONG("0\r\nTransfer-Encoding", ": chunked\r\n\r\n"),
     HEAD_TRAILER},
    {"host as a trailer", HEAD_WRONG("0\r\nHost", ": h\r\n\r\n"), HEAD_TRAILER},
    {"folded trailer", HEAD_WRONG("0\r\nX: 1\r\n", " 2\r\n\r\n"), HEAD_FOLD},
    {"bare LF after a trailer", HEAD_WRONG("0\r\nX: 1", "\n\r\n"), HEAD_BARE_LF},
};

#endif
