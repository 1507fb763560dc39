import packageJson from '../../package.json'

export interface Archive {
  /** "linux-x64". */
  readonly target: string
  readonly name: string
  readonly sha256: string
}

/** A formula for Homebrew. @param base Address of the folder that holds the archives. */
export function formula(archives: readonly Archive[], base: string): string {
  const block = (os: 'darwin' | 'linux') => {
    const lines = archives
      .filter((archive) => archive.target.startsWith(os))
      .map(
        ({ target, name, sha256 }) =>
          `    on_${target.endsWith('arm64') ? 'arm' : 'intel'} do\n      url ${ruby(`${base}/${name}`)}\n      sha256 ${ruby(sha256)}\n    end\n`,
      )
    return lines.length === 0 ? '' : `\n  on_${os === 'darwin' ? 'macos' : 'linux'} do\n${lines.join('')}  end\n`
  }
  return `class Fabra < Formula
  desc "Feature store in one executable"
  homepage ${ruby(base)}
  version ${ruby(packageJson.version)}
  license "Apache-2.0"
${block('darwin')}${block('linux')}
  def install
    bin.install "fabra"
    man1.install "man/fabra.1"
    bash_completion.install "completions/fabra.bash" => "fabra"
    zsh_completion.install "completions/_fabra"
    fish_completion.install "completions/fabra.fish"
  end

  test do
    assert_equal version.to_s, shell_output("#{bin}/fabra version").strip
  end
end
`
}

function ruby(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('#', '\\#')}"`
}
