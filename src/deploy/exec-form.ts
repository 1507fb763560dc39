/** Words of a command in a Dockerfile, in the form without a shell: there may be none in the image. */
export function exec(words: readonly string[]): string {
  return `[${words.map((word) => JSON.stringify(word)).join(', ')}]`
}
