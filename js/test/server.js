import { createServer } from "node:http";
import { open, stat } from "node:fs/promises";
import { extname, join, normalize } from "node:path";

const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".json": "application/json" };

/**
 * Serve a directory on 127.0.0.1 with ranges, CORS, ETag and Last-Modified, counting what is asked for.
 *
 * @param {string} directory
 * @param {{ranges?: boolean, cors?: boolean}} [options]
 * @returns {Promise<{url: string, log: {path: string, range?: string, status: number, bytes: number}[], count: () => {requests: number, bytes: number}, close: () => Promise<void>}>}
 */
export async function serve(directory, { ranges = true, cors = true, port = 0 } = {}) {
  const log = [];
  const server = createServer((request, response) => {
    answer(directory, request, { ranges, cors }).then(
      ({ status, headers, body }) => {
        const path = request.url;
        if (request.method !== "OPTIONS") log.push({ path, range: request.headers.range, status, bytes: body.length });
        response.writeHead(status, headers).end(request.method === "HEAD" ? undefined : body);
      },
      (error) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise((ready) => server.listen(port, "127.0.0.1", ready));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    log,
    count: () => ({ requests: log.length, bytes: log.reduce((sum, { bytes }) => sum + bytes, 0) }),
    close: () => new Promise((done) => {
      server.close(done);
      server.closeAllConnections();
    }),
  };
}

async function answer(directory, request, { ranges, cors }) {
  const headers = cors ? corsHeaders() : {};
  if (request.method === "OPTIONS") return { status: 204, headers, body: "" };
  const path = join(directory, normalize(decodeURIComponent(new URL(request.url, "http://host").pathname)));
  const info = await stat(path).catch(() => undefined);
  if (!info?.isFile()) return { status: 404, headers, body: "" };
  Object.assign(headers, {
    "Content-Type": TYPES[extname(path)] ?? "application/octet-stream",
    "Last-Modified": info.mtime.toUTCString(),
    ETag: etagOf(info),
    // Else browsers guess how long an answer stays fresh, and requests do not get here to be counted.
    "Cache-Control": "no-cache",
  });
  const match = ranges && request.headers.range?.match(/^bytes=(\d+)-(\d+)$/);
  if (!match) return { status: 200, headers, body: await read(path, 0, info.size) };
  const [first, last] = [Number(match[1]), Math.min(Number(match[2]), info.size - 1)];
  if (first > last) return { status: 416, headers: { ...headers, "Content-Range": `bytes */${info.size}` }, body: "" };
  headers["Content-Range"] = `bytes ${first}-${last}/${info.size}`;
  return { status: 206, headers, body: await read(path, first, last - first + 1) };
}

function corsHeaders() {
  return {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Range",
    "Access-Control-Expose-Headers": "Content-Range, ETag",
  };
}

/** The entity tag this server gives a file. */
export function etagOf(info) {
  return `"${info.size.toString(16)}-${Math.floor(info.mtimeMs / 1000).toString(16)}"`;
}

async function read(path, offset, length) {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
    return buffer;
  } finally {
    await file.close();
  }
}
