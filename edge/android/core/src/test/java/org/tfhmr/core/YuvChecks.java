package org.tfhmr.core;

import java.nio.ByteBuffer;
import org.json.JSONArray;
import org.json.JSONObject;

/** A camera's frames against cv2.cvtColor and cv2.rotate. */
final class YuvChecks {
    private YuvChecks() {}

    static String frames(Vectors vectors) throws Exception {
        JSONArray cases = vectors.json().getJSONArray("yuv");
        int worst = 0;
        for (int i = 0; i < cases.length(); i++) {
            JSONObject entry = cases.getJSONObject(i);
            Yuv.Plane[] planes = new Yuv.Plane[3];
            for (int n = 0; n < planes.length; n++) {
                JSONObject plane = entry.getJSONArray("planes").getJSONObject(n);
                ByteBuffer bytes = ByteBuffer.wrap(vectors.read(plane.getString("file")));
                bytes.position(plane.getInt("offset"));
                planes[n] = new Yuv.Plane(
                        bytes.slice(), plane.getInt("row_stride"), plane.getInt("pixel_stride"));
            }
            Image image = Yuv.toRgb(
                    planes,
                    entry.getInt("width"),
                    entry.getInt("height"),
                    entry.getInt("degrees"),
                    entry.getBoolean("mirror"),
                    entry.getBoolean("full_range"));
            Image expected = vectors.image(entry.getJSONObject("rgb"));
            Checks.equal(i + "'s width", image.width, expected.width);
            for (int k = 0; k < image.rgb.length; k++) {
                worst = Math.max(
                        worst, Math.abs((image.rgb[k] & 255) - (expected.rgb[k] & 255)));
            }
            Checks.isTrue("case " + i + " differs by " + worst, worst <= 1);
        }
        Checks.isTrue("there are cases", cases.length() > 0);
        return cases.length() + " frames, " + worst + " level";
    }

    static String refusals(Vectors vectors) {
        final Yuv.Plane[] planes = {plane(4 * 4), plane(2 * 2), plane(2 * 2 - 1)};
        Checks.refused("a short plane", "too short", new Runnable() {
            @Override
            public void run() {
                Yuv.toRgb(planes, 4, 4, 0, false, true);
            }
        });
        Checks.refused("an odd size", "5 x 4", new Runnable() {
            @Override
            public void run() {
                Yuv.toRgb(planes, 5, 4, 0, false, true);
            }
        });
        return "2 refusals";
    }

    private static Yuv.Plane plane(int length) {
        int rowStride = length == 16 ? 4 : 2;
        return new Yuv.Plane(ByteBuffer.allocate(length), rowStride, 1);
    }
}
