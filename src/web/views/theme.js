// Dark and light: follows the system until the user chooses otherwise, and remembers that.

import { byId } from '../dom.js';
import { KEYS, readText, writeText } from '../storage.js';

const BAR_COLOURS = { light: '#faf9f7', dark: '#191b1d' };

export function mountTheme() {
	const system = matchMedia('(prefers-color-scheme: dark)');
	const systemTheme = () => (system.matches ? 'dark' : 'light');
	const chosen = () => {
		const text = readText(KEYS.theme);
		return text === 'dark' || text === 'light' ? text : null;
	};
	const show = () => apply(chosen() ?? systemTheme());

	byId('theme').addEventListener('click', () => {
		const next = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
		writeText(KEYS.theme, next === systemTheme() ? null : next);
		apply(next);
	});
	system.addEventListener('change', show);
	window.addEventListener('storage', (event) => event.key === KEYS.theme && show());
	show();
}

function apply(theme) {
	document.documentElement.dataset.theme = theme;
	document.querySelector('meta[name="theme-color"]').content = BAR_COLOURS[theme];
	const button = byId('theme');
	const label = theme === 'dark' ? 'Switch to light colours' : 'Switch to dark colours';
	button.setAttribute('aria-label', label);
	button.title = label;
	button.querySelector('use').setAttribute('href', theme === 'dark' ? '#icon-sun' : '#icon-moon');
}
