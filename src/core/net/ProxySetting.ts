/**
 * Which HTTP proxy leads to a URL, asked anew for each connection because credentials change: empty for what the
 * environment says (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, either case), `none`, a URL with name and
 * password, or `@FILE` whose first line is one.
 */
import { readFile } from "node:fs/promises"
import { getProxyForUrl } from "proxy-from-env"

/** The proxy's URL, or nothing for none. Rejects when the file cannot be read or holds no URL. */
export const resolve = async (setting: string, target: URL): Promise<string | undefined> => {
  if (setting === NONE) return undefined
  if (setting === "") return fromEnvironment(target)
  if (!setting.startsWith("@")) return setting
  const [line = ""] = (await readFile(setting.slice(1), "utf8")).split("\n", 1)
  const url = line.trim()
  if (url === "" || url === NONE) return undefined
  if (isProxyUrl(url)) return url
  throw new Error(`${setting.slice(1)} does not begin with the URL of a proxy`)
}

/** For people: without the password. */
export const shown = (proxy: string): string => {
  const url = new URL(proxy)
  return `${url.protocol}//${url.host}`
}

/** A WebSocket goes where HTTP goes. */
const fromEnvironment = (target: URL): string | undefined => {
  const proxy = getProxyForUrl(target.href.replace(/^ws/, "http"))
  return proxy === "" ? undefined : isProxyUrl(proxy) ? proxy : `http://${proxy}`
}

const isProxyUrl = (text: string): boolean => /^https?:\/\/[^/]/.test(text) && URL.canParse(text)

const NONE = "none"
