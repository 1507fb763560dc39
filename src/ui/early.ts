/** Before the first paint: the theme that was chosen, so that the page does not flash in the other one. */
const kept = localStorage.getItem('fabra.theme')
if (kept === 'light' || kept === 'dark') document.documentElement.dataset['theme'] = kept
