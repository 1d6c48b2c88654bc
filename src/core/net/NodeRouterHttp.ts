/** `RouterHttp` on `node:http`. Each request has a connection of its own. */
import { request as open } from "node:http"
import { Effect } from "effect"
import { type Ask, BODY_BYTES_MAX, type RouterAnswer, RouterHttpFailed } from "./RouterHttp.ts"

/** Asks one. */
export const ask: Ask = ({ body, headers, host, path, port }) =>
  Effect.callback<RouterAnswer, RouterHttpFailed>((resume) => {
    const failed = (detail: string) => resume(new RouterHttpFailed({ detail }))
    const length = body === undefined ? {} : { "Content-Length": String(Buffer.byteLength(body)) }
    const request = open({
      ...{ host, port, path, agent: false, maxHeaderSize: HEADERS_BYTES_MAX },
      method: body === undefined ? "GET" : "POST",
      headers: { ...headers, ...length, Connection: "close" }
    })
    request.on("error", ({ message }) => failed(message))
    request.on("response", (response) => {
      const chunks: Array<Buffer> = []
      let bytes = 0
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > BODY_BYTES_MAX) {
          failed(`more than ${BODY_BYTES_MAX} bytes`)
          response.destroy()
        } else chunks.push(chunk)
      })
      response.on("error", ({ message }) => failed(message))
      response.on("end", () =>
        resume(Effect.succeed({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }))
      )
    })
    request.end(body)
    return Effect.sync(() => void request.destroy())
  })

const HEADERS_BYTES_MAX = 8_192
