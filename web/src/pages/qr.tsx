// SPDX-License-Identifier: Apache-2.0
// A QR code as SVG: black on white whatever the theme, for cameras.
import qrcode from 'qrcode-generator';

export function QrCode({ text, label }: { text: string; label: string }) {
    const qr = qrcode(0, 'M');
    qr.addData(text);
    qr.make();
    const n = qr.getModuleCount();
    let path = '';
    for (let y = 0; y < n; y++) for (let x = 0; x < n; x++) if (qr.isDark(y, x)) path += `M${x} ${y}h1v1h-1z`;
    return (
        <svg viewBox={`-3 -3 ${n + 6} ${n + 6}`} width="180" height="180" role="img" aria-label={label}>
            <rect x="-3" y="-3" width={n + 6} height={n + 6} fill="#fff" />
            <path d={path} fill="#000" shape-rendering="crispEdges" />
        </svg>
    );
}
