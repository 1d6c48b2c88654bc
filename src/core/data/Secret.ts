/** Comparing secrets. */

/** In a time that does not tell how much of it was right; lengths are no secret. */
export const isSame = (a: string, b: string): boolean => {
  let difference = a.length ^ b.length
  for (let index = 0; index < a.length; index++) difference |= a.charCodeAt(index) ^ b.charCodeAt(index)
  return difference === 0
}
