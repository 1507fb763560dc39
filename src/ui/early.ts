/** The theme that was chosen, so that the page does not flash in the other one. */
const kept = localStorage.getItem('fabra.theme')
if (kept === 'light' || kept === 'dark') document.documentElement.dataset['theme'] = kept

/** Written out, because the address of the page changes while it is open, and browsers ask for the icon again. */
for (const icon of document.querySelectorAll<HTMLLinkElement>('link[rel=icon]')) icon.setAttribute('href', icon.href)
