package org.tfhmr.core;

import java.util.Map;
import org.json.JSONArray;
import org.json.JSONObject;

/** Crops and inputs of edge/run.py. */
final class CropChecks {
    private CropChecks() {}

    static String crops(Vectors vectors) throws Exception {
        JSONArray crops = vectors.json().getJSONArray("crops");
        Worst worst = new Worst(1e-3);
        for (int i = 0; i < crops.length(); i++) {
            JSONObject entry = crops.getJSONObject(i);
            Image expected = vectors.image(entry.getJSONObject("crop"));
            double[] square = Vectors.numbers(entry.getJSONArray("square"));
            Image image = vectors.image(entry.getJSONObject("image"));
            worst.comparePixels(Crop.of(image, square, expected.width), expected);
        }
        Checks.isTrue("there are crops", crops.length() > 0);
        return crops.length() + " crops, " + worst.says();
    }

    static String inputs(Vectors vectors) throws Exception {
        JSONArray rows = vectors.json().getJSONArray("inputs");
        Worst worst = new Worst(1e-3);
        for (int i = 0; i < rows.length(); i++) {
            JSONObject row = rows.getJSONObject(i);
            double[] square = Vectors.numbers(row.getJSONArray("square"));
            double[] size = Vectors.numbers(row.getJSONArray("size"));
            Image crop = new Image(new byte[3], 1, 1);
            Map<String, Object> inputs = CropEstimator.inputs(
                    (int) size[0], (int) size[1], square, crop, row.getDouble("focal"));
            for (String name : new String[] {"box", "image_size", "intrinsics"}) {
                double[] expected = Vectors.numbers(row.getJSONArray(name));
                float[] values = (float[]) inputs.get(name);
                double[] wide = new double[values.length];
                for (int k = 0; k < wide.length; k++) {
                    wide[k] = values[k];
                }
                worst.compare(name, wide, expected, 1e-4);
            }
        }
        Checks.isTrue("there are inputs", rows.length() > 0);
        return worst.says();
    }
}
