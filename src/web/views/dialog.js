// A modal dialog that closes on Escape, on its cross, and on a click beside it.

import { h, iconButton } from '../dom.js';

export function createDialog(title, ...content) {
	const heading = h('h2', { id: `dialog-${title.toLowerCase().replace(/\W+/g, '-')}` }, title);
	const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': heading.id },
		h('div', { class: 'dialog-frame' },
			h('div', { class: 'dialog-head' }, heading, iconButton('close', 'Close', () => dialog.close())),
			...content));
	dialog.addEventListener('click', (event) => {
		if (event.target === dialog) dialog.close();
	});
	document.body.append(dialog);
	return dialog;
}
